//! Names that say nothing, or say it in other words than the rest of the project.
//!
//! A file called after nothing collects everything, and two words for one thing cost every reader
//! a search.

use super::source::{Source, is_word_byte, words};
use super::tree::{Finding, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        findings.extend(check_file_name(source));
        for declaration in declarations(source) {
            findings.extend(check_declared(source, &declaration));
        }
    }
    findings
}

fn check_file_name(source: &Source) -> Option<Finding> {
    let file = source.path.rsplit('/').next()?;
    if file == "mod.rs" {
        let fix = "`x.rs` beside `x/`, so that an editor's tab says which module it shows";
        return Some(Finding::new(&source.path, 1, "a module file called mod.rs", fix));
    }
    let stem = file.strip_suffix(".rs")?;
    let fix = "a thing is called by a noun, a use case by a verb; say which one this is";
    // tests/it/util/ is what the tests stand on, and its module file is called like it.
    let of_tests = stem == "util" && source.is_test();
    (BANNED_FILES.contains(&stem) && !of_tests)
        .then(|| Finding::new(&source.path, 1, format!("a file called {file}"), fix))
}

const BANNED_FILES: &[&str] = &["util", "utils", "common", "types", "helper", "helpers", "misc"];

struct Declaration<'a> {
    at: usize,
    keyword: &'static str,
    name: &'a str,
}

fn declarations(source: &Source) -> Vec<Declaration<'_>> {
    let mut found = Vec::new();
    for keyword in ["fn", "struct", "enum", "trait", "type", "mod", "const", "static"] {
        for at in words(&source.code, keyword) {
            let rest = &source.code[at + keyword.len()..];
            let name_at = rest.len() - rest.trim_start().len();
            let name = &rest[name_at..];
            let length = name.bytes().take_while(|byte| is_word_byte(*byte)).count();
            // `fn(` is a type and `const {` a block: neither declares.
            if name_at > 0 && length > 0 {
                found.push(Declaration { at, keyword, name: &name[..length] });
            }
        }
    }
    found
}

fn check_declared(source: &Source, declared: &Declaration<'_>) -> Option<Finding> {
    let fix = fault(declared, source.in_test(declared.at))?;
    let what = format!("{} `{}`", declared.keyword, declared.name);
    Some(Finding::at(source, declared.at, what, fix))
}

/// Why a name is not a good one, if it is not.
fn fault(declared: &Declaration<'_>, in_test: bool) -> Option<String> {
    let name = declared.name;
    let spelt = format!("_{}_", snake_case(name));
    if let Some((banned, instead)) = BANNED_WORDS.iter().find(|(word, _)| spelt.contains(word)) {
        let banned = banned.trim_matches('_');
        return Some(format!("the word here is {instead}, not `{banned}`"));
    }
    if declared.keyword == "fn" && name.starts_with("get_") {
        return Some("no `get_`: name what it gives, or `find_` where it may be none".to_owned());
    }
    if declared.keyword == "fn" && in_test && name.starts_with("test_") {
        return Some("a test's name is a sentence that says what holds".to_owned());
    }
    if !matches!(declared.keyword, "struct" | "enum" | "trait" | "type") {
        return None;
    }
    if let Some(suffix) = BANNED_SUFFIXES.iter().find(|suffix| name.ends_with(*suffix)) {
        return Some(format!("`…{suffix}` says nothing: call it by what it does or is"));
    }
    (declared.keyword == "trait" && has_interface_prefix(name))
        .then(|| "a trait is a capability without a prefix".to_owned())
}

const BANNED_WORDS: &[(&str, &str)] = &[
    ("_signin_", "login"),
    ("_sign_in_", "login"),
    ("_signup_", "register"),
    ("_sign_up_", "register"),
    ("_signout_", "logout"),
    ("_sign_out_", "logout"),
    ("_logoff_", "logout"),
];

const BANNED_SUFFIXES: &[&str] = &["Manager", "Helper", "Helpers", "Util", "Utils", "Impl"];

/// `sign_in` of `SignIn`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// `IStore`, but not `Identity` or `IO`.
fn has_interface_prefix(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next() == Some('I')
        && letters.next().is_some_and(char::is_uppercase)
        && letters.next().is_some_and(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    #[test]
    fn files_are_called_after_what_they_hold() {
        for (path, stopped) in [
            ("crates/a/src/http/utils.rs", true),
            ("crates/a/src/common.rs", true),
            ("crates/a/src/types.rs", true),
            ("crates/a/src/helpers.rs", true),
            ("crates/a/src/http/mod.rs", true),
            ("crates/a/src/http/model.rs", false),
            ("crates/a/tests/it/util.rs", false),
            ("crates/a/src/util.rs", true),
            ("docs/types.md", false),
        ] {
            assert_eq!(!places(check, &[(path, "")]).is_empty(), stopped, "{path}");
        }
    }

    #[test]
    fn one_thing_has_one_word() {
        for (text, stopped) in [
            ("pub struct SessionManager;", true),
            ("struct StoreImpl;", true),
            ("trait IStore {}", true),
            ("trait Identity {}", false),
            ("enum IoError {}", false),
            ("fn get_user() {}", true),
            ("fn widget_user() {}", false),
            ("fn sign_in() {}", true),
            ("fn signing_key() {}", false),
            ("struct Signup;", true),
            ("struct SignUpForm;", true),
            ("type F = fn(u8) -> Box<dyn Handler>;", false),
            ("// struct SessionManager", false),
            ("#[test]\nfn test_login() {}", true),
            ("#[test]\nfn login_works() {}", false),
            ("fn test_server() {}", false),
        ] {
            let found = places(check, &[("crates/a/src/b.rs", text)]);
            assert_eq!(!found.is_empty(), stopped, "{text}: {found:?}");
        }
    }
}
