//! No `unwrap()` outside tests.
//!
//! Clippy says so too, but can be told to look away line by line.

use super::tree::{Finding, Tree};

const FIX: &str = "return the error, or `expect(\"why this cannot fail\")`";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        for call in [".unwrap()", ".unwrap_err()", "::unwrap)", ".unwrap_unchecked()"] {
            let calls = source.code.match_indices(call).filter(|(at, _)| !source.in_test(*at));
            findings.extend(calls.map(|(at, _)| Finding::at(source, at, format!("`{call}`"), FIX)));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    #[test]
    fn only_tests_unwrap() {
        for (path, text, stopped) in [
            ("src/a.rs", "fn a() { b().unwrap() }", true),
            ("src/a.rs", "fn a() { b().map(Option::unwrap) }", true),
            ("src/a.rs", "fn a() { b().unwrap_or(c) }", false),
            ("src/a.rs", "/// ```\n/// a().unwrap();\n/// ```\nfn a() {}", false),
            ("src/a.rs", "#[test]\nfn a() { b().unwrap() }", false),
            ("tests/it/a.rs", "fn a() { b().unwrap() }", false),
        ] {
            assert_eq!(!places(check, &[(path, text)]).is_empty(), stopped, "{path}: {text}");
        }
    }
}
