//! Every file says in its first line what it is, and then why it exists.
//!
//! The first line is what a reader sees in a list of files.

use super::tree::{Finding, Tree};

/// From here on a file needs more than its first line.
const WHY_FROM_LINES: usize = 200;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter_map(|source| {
            let mut lines = source.text.lines();
            let head = lines.next().and_then(|line| line.strip_prefix("//! "));
            let Some(head) = head.filter(|head| head.split(' ').count() > 1) else {
                let what = "does not begin with a line `//! What this file is.`";
                return Some(Finding::new(
                    &source.path,
                    1,
                    what,
                    "say what it is, then why it exists",
                ));
            };
            let says_why = lines.next().is_some_and(|line| line.starts_with("//!"));
            let is_long = source.lines_outside_tests() > WHY_FROM_LINES && !source.is_test();
            (is_long && !says_why).then(|| {
                let what = format!("says what it is (\"{head}\") and not why it exists");
                Finding::new(&source.path, 2, what, "add the reason, after an empty `//!` line")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    #[test]
    fn a_file_begins_with_what_it_is_and_a_long_one_with_why() {
        let code = "fn a() {}\n".repeat(210);
        let cases = [
            ("//! The record's ports.\n".to_owned(), false),
            ("//! store\n".to_owned(), true),
            ("use std::fmt;\n".to_owned(), true),
            (String::new(), true),
            (format!("//! The ports.\n{code}"), true),
            (format!("//! The ports.\n//!\n//! Because.\n{code}"), false),
            (format!("//! The ports, and\n//! what they give.\n{code}"), false),
        ];
        for (text, stopped) in cases {
            assert_eq!(!places(check, &[("src/a.rs", &text)]).is_empty(), stopped, "{text:.40}");
        }
    }
}
