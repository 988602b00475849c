//! How long a function may be.
//!
//! A use case reads as one story; a handler parses, calls one use case and renders, so it gets
//! less room: what does not fit belongs to the use case.

use super::source::{Source, after_closing, end_of_head, is_word_byte, words};
use super::tree::{Finding, Tree, lies_in};

const LINES_MAX: usize = 70;

const HANDLER_LINES_MAX: usize = 40;

/// What nine of ten functions must not exceed.
const NINE_OF_TEN_MAX: usize = 30;

/// Where every async function is a handler.
const HANDLERS: &[&str] = &[
    "crates/nightlatch/src/http/api.rs",
    "crates/nightlatch/src/http/api/",
    "crates/nightlatch/src/http/pages.rs",
    "crates/nightlatch/src/http/pages/",
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        let holds_handlers = HANDLERS.iter().any(|place| lies_in(&source.path, place));
        for function in functions(source) {
            let is_handler = holds_handlers && function.is_async;
            let limit = if is_handler { HANDLER_LINES_MAX } else { LINES_MAX };
            if function.lines <= limit {
                continue;
            }
            let what = format!("`{}` has {} lines, at most {limit}", function.name, function.lines);
            let fix = if is_handler {
                "a handler parses, calls one use case and renders"
            } else {
                "name the steps and move what is below them into functions of their own"
            };
            findings.push(Finding::at(source, function.at, what, fix));
        }
    }
    let long = nine_of_ten(tree);
    if long > NINE_OF_TEN_MAX {
        let what = format!("one function of ten has over {long} lines, at most {NINE_OF_TEN_MAX}");
        findings.push(Finding::new("Cargo.toml", 1, what, "the longest tell more than one thing"));
    }
    findings
}

/// The sizes as a few words.
pub(crate) fn summary(tree: &Tree) -> String {
    format!("nine functions of ten within {} lines", nine_of_ten(tree))
}

fn nine_of_ten(tree: &Tree) -> usize {
    let mut sizes: Vec<usize> =
        tree.rust().flat_map(functions).map(|function| function.lines).collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() * 9 / 10).copied().unwrap_or_default()
}

struct Function<'a> {
    at: usize,
    name: &'a str,
    is_async: bool,
    lines: usize,
}

/// The functions with a body, outside tests.
fn functions(source: &Source) -> impl Iterator<Item = Function<'_>> {
    let code = &source.code;
    words(code, "fn").filter(|at| !source.in_test(*at)).filter_map(move |at| {
        // `fn(` is a type.
        let name = code[at + 2..].strip_prefix([' ', '\n'])?.trim_start();
        let length = name.bytes().take_while(|byte| is_word_byte(*byte)).count();
        let open = end_of_head(code, at)?;
        if code.as_bytes()[open] == b';' {
            return None;
        }
        let lines = code[at..after_closing(code, open)].lines().count();
        let is_async = code[..at].trim_end().ends_with("async");
        Some(Function { at, name: &name[..length], is_async, lines })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    /// A function of this many lines after ten short ones.
    fn file(head: &str, lines: usize) -> String {
        let body = "    b();\n".repeat(lines - 2);
        format!("{}{head} long() {{\n{body}}}\n", "fn a() {}\n".repeat(10))
    }

    #[test]
    fn functions_are_short_and_handlers_shorter() {
        for (path, head, lines, stopped) in [
            ("crates/nightlatch/src/app.rs", "async fn", 70, false),
            ("crates/nightlatch/src/app.rs", "async fn", 71, true),
            ("crates/nightlatch/src/http/api/login.rs", "async fn", 40, false),
            ("crates/nightlatch/src/http/api/login.rs", "async fn", 41, true),
            ("crates/nightlatch/src/http/pages.rs", "pub(super) async fn", 41, true),
            ("crates/nightlatch/src/http/pages.rs", "fn", 70, false),
            ("crates/nightlatch/src/http/pages.rs", "fn", 71, true),
            ("crates/nightlatch/tests/it/main.rs", "fn", 71, false),
        ] {
            let file = file(head, lines);
            let found = places(check, &[(path, &file)]);
            let expected = if stopped { vec![format!("{path}:11")] } else { Vec::new() };
            assert_eq!(found, expected, "{path} with {lines} lines");
        }
    }

    #[test]
    fn nine_functions_of_ten_are_short() {
        let few_long = format!("{}{}", "fn a() {}\n".repeat(30), file("fn", 31));
        assert!(places(check, &[("src/a.rs", &few_long)]).is_empty());
        let many_long = file("fn", 31).repeat(2).replace("fn a() {}\n", "");
        assert_eq!(places(check, &[("src/a.rs", &many_long)]), ["Cargo.toml:1"]);
    }

    #[test]
    fn what_has_no_body_is_no_function() {
        let text = "trait A { fn a(&self); }\ntype B = fn(u8) -> u8;\nfn c() where u8: Copy {}\n";
        let source = Source::new("src/a.rs", text);
        let names: Vec<&str> = functions(&source).map(|function| function.name).collect();
        assert_eq!(names, ["c"]);
    }
}
