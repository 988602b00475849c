//! What is not there yet is not there: no marks of work left over, no tests that do not run.
//!
//! A mark in the code is an issue that nobody reads.

use super::tree::{Finding, Tree};

// Put together here, so that this file does not find itself.
const MARKS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK:"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[", "ignore"),
];

const FIX: &str = "finish it, or open an issue and leave it out";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources.iter().filter(|source| !is_exempt(&source.path)) {
        for mark in MARKS {
            // A literal may hold anything, a name in a comment or in code may not.
            let mut found: Vec<usize> = source.code.match_indices(mark).map(|(at, _)| at).collect();
            found.extend(source.comments.match_indices(mark).map(|(at, _)| at));
            found.sort_unstable();
            found.dedup();
            found.retain(|at| is_alone(&source.text, *at, mark));
            findings.extend(
                found.into_iter().map(|at| Finding::at(source, at, format!("`{mark}`"), FIX)),
            );
        }
    }
    findings
}

/// Locks and data hold hashes and other people's words; documents speak of marks.
fn is_exempt(path: &str) -> bool {
    !["rs", "sh", "toml", "sql", "html", "css", "js", "yml"]
        .iter()
        .any(|extension| path.rsplit_once('.').is_some_and(|(_, found)| found == *extension))
        && path != "test"
}

/// Whether the mark is no part of a longer word.
fn is_alone(text: &str, at: usize, mark: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let after = text[at + mark.len()..].chars().next();
    let goes_on = joins(mark.chars().next_back()) && joins(after);
    !joins(text[..at].chars().next_back()) && !goes_on
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    #[test]
    fn marks_of_unfinished_work_are_found_outside_literals() {
        let [later, mend, macro_call, skipped] = [MARKS[0], MARKS[1], MARKS[4], MARKS[6]];
        for (path, text, stopped) in [
            ("src/a.rs", format!("// {later}: more"), true),
            ("src/a.rs", format!("fn a() {{ {macro_call}) }}"), true),
            ("src/a.rs", format!("fn a() {{ \"{mend}\" }}"), false),
            ("src/a.rs", format!("{skipped}]\nfn a() {{}}"), true),
            ("test", format!("# {mend} later"), true),
            ("src/a.rs", format!("// MAST{later}NT"), false),
            ("docs/a.md", format!("no {later}"), false),
        ] {
            assert_eq!(!places(check, &[(path, &text)]).is_empty(), stopped, "{path}: {text}");
        }
    }
}
