//! How long a file may be.
//!
//! A file that tells one thing fits the head. Tests do not count: a long table is a good one.

use super::source::Source;
use super::tree::{Finding, Tree};

/// Lines outside tests that a file may have.
const LINES_MAX: usize = 400;

/// What half of the files must not exceed.
const MEDIAN_MAX: usize = 160;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = counted(tree)
        .filter(|source| source.lines_outside_tests() > LINES_MAX)
        .map(|source| {
            let what = format!(
                "{} lines outside tests, at most {LINES_MAX}",
                source.lines_outside_tests()
            );
            Finding::new(&source.path, 1, what, "move the concept that is least at home here")
        })
        .collect();
    let median = median(tree);
    if median > MEDIAN_MAX {
        let what = format!("half of the files have over {median} lines, at most {MEDIAN_MAX}");
        findings.push(Finding::new("Cargo.toml", 1, what, "the longest files hold several things"));
    }
    findings
}

/// The sizes as a few words.
pub(crate) fn summary(tree: &Tree) -> String {
    let longest = counted(tree).map(Source::lines_outside_tests).max().unwrap_or_default();
    format!("median {} and at most {longest} lines a file", median(tree))
}

fn counted(tree: &Tree) -> impl Iterator<Item = &Source> {
    tree.rust().filter(|source| !source.is_test())
}

fn median(tree: &Tree) -> usize {
    let mut sizes: Vec<usize> = counted(tree).map(Source::lines_outside_tests).collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    #[test]
    fn a_file_may_be_long_only_by_its_tests() {
        let (short, long) = ("fn a() {}\n".repeat(100), "fn a() {}\n".repeat(401));
        let tested = format!("{short}#[cfg(test)]\nmod tests {{\n{long}}}\n");
        let files = |text| [("src/a.rs", text), ("src/b.rs", ""), ("src/c.rs", "")];
        assert_eq!(places(check, &files(&long)), ["src/a.rs:1"]);
        assert!(places(check, &files(&short)).is_empty());
        assert!(places(check, &files(&tested)).is_empty());
        assert!(places(check, &[("tests/it/a.rs", &long)]).is_empty());
    }

    #[test]
    fn half_of_the_files_must_be_short() {
        let (short, middling) = ("fn a() {}\n".repeat(100), "fn a() {}\n".repeat(161));
        let most_long = [("a.rs", &*short), ("b.rs", &middling), ("c.rs", &middling)];
        assert_eq!(places(check, &most_long), ["Cargo.toml:1"]);
        let most_short = [("a.rs", &*short), ("b.rs", &short), ("c.rs", &middling)];
        assert!(places(check, &most_short).is_empty());
    }
}
