//! The map in ARCHITECTURE.md shows what is there.
//!
//! A map that is wrong in one place is not believed in any. Its form is a fenced block under the
//! heading "Map": a directory with a slash at its end, beneath it indented what it holds, and
//! after two blanks what that is for.

use super::tree::{Finding, Tree};

const DOCUMENT: &str = "ARCHITECTURE.md";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(document) = tree.find(DOCUMENT) else {
        return vec![Finding::new(DOCUMENT, 1, "is not there", "write it: a map with invariants")];
    };
    let places = places(&document.text);
    let mut findings: Vec<Finding> = places
        .iter()
        .filter(|(_, path)| !tree.has(path))
        .map(|(line, path)| {
            let what = format!("`{path}` is on the map and nowhere else");
            Finding::new(DOCUMENT, *line, what, "take it off the map, or write down its new name")
        })
        .collect();
    for crate_path in crates(tree) {
        if !places.iter().any(|(_, path)| path.starts_with(&crate_path)) {
            let what = format!("the crate `{crate_path}` is not on the map");
            findings.push(Finding::new(DOCUMENT, 1, what, "say under \"Map\" what it is for"));
        }
    }
    findings
}

/// What the map names, with its lines.
fn places(document: &str) -> Vec<(usize, String)> {
    let (mut in_section, mut in_block) = (false, false);
    let mut directories: Vec<(usize, String)> = Vec::new();
    let mut found = Vec::new();
    for (number, line) in (1..).zip(document.lines()) {
        if line.starts_with("```") {
            in_block = in_section && !in_block;
        } else if line.starts_with('#') && !in_block {
            in_section = line.trim_start_matches('#').trim() == "Map";
        } else if in_block && !line.trim().is_empty() {
            let indent = line.len() - line.trim_start().len();
            let name = line.trim_start().split("  ").next().unwrap_or_default().trim_end();
            directories.retain(|(parent_indent, _)| *parent_indent < indent);
            let parent = directories.last().map(|(_, path)| path.as_str()).unwrap_or_default();
            let path = format!("{parent}{name}");
            if name.ends_with('/') {
                directories.push((indent, path.clone()));
            }
            found.push((number, path));
        }
    }
    found
}

/// The directories with a manifest of their own.
fn crates(tree: &Tree) -> Vec<String> {
    tree.sources
        .iter()
        .filter_map(|source| source.path.strip_suffix("Cargo.toml"))
        .filter(|directory| !directory.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places as findings;

    const MAP: &str = "# Architecture\n## Map\n```text\ncrates/a/  the first\n  src/\n    b.rs  rules\n  Cargo.toml\n```\n## Rest\n```\nnowhere.rs\n```\n";

    #[test]
    fn the_map_shows_what_is_there_and_every_crate() {
        let files = [(DOCUMENT, MAP), ("crates/a/Cargo.toml", ""), ("crates/a/src/b.rs", "")];
        assert!(findings(check, &files).is_empty());
        assert_eq!(findings(check, &files[..2]), ["ARCHITECTURE.md:5", "ARCHITECTURE.md:6"]);
        let more = [files[0], files[1], files[2], ("crates/c/Cargo.toml", "")];
        assert_eq!(findings(check, &more), ["ARCHITECTURE.md:1"]);
        assert_eq!(findings(check, &files[1..]), ["ARCHITECTURE.md:1"]);
    }
}
