//! Links between documents lead somewhere, and so do their anchors.
//!
//! Only what lies in the repository is followed: a check that needs the network fails for reasons
//! that nobody here can mend.

use super::tree::{Finding, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources.iter().filter(|source| is_document(&source.path)) {
        for (line, target) in links(&source.text) {
            if let Some(what) = fault(tree, &source.path, target) {
                let fix = "write the path from this document to a tracked file";
                findings.push(Finding::new(&source.path, line, what, fix));
            }
        }
    }
    findings
}

fn is_document(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extension == "md")
}

/// What is wrong with a link, if something is.
fn fault(tree: &Tree, document: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { document.to_owned() } else { resolve(document, path)? };
    if !tree.has(&path) {
        return Some(format!("the link to `{target}` leads nowhere"));
    }
    let linked = tree.find(&path).filter(|linked| is_document(&linked.path))?;
    let leads = anchor.is_empty() || anchors(&linked.text).iter().any(|known| known == anchor);
    (!leads).then(|| format!("`{path}` has no heading for `#{anchor}`"))
}

/// The path of a link from the root of the repository; `None` if it leads out of it.
fn resolve(document: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The targets of all links, with their lines. Code is not looked at.
fn links(document: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(document) {
        // What is between backquotes is code: every second piece. A link whose text is code has
        // its target in the piece after that.
        for text in line.split('`').step_by(2) {
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            found.extend(targets.map(|target| (number, target)));
        }
        let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        found.extend(definition.map(|(_, target)| (number, target.trim())));
    }
    found
}

/// The anchors of a document's headings, as the sites that show it make them.
fn anchors(document: &str) -> Vec<String> {
    prose(document)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept =
                heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The lines outside fenced code.
fn prose(document: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    (1..).zip(document.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    #[test]
    fn links_lead_to_files_and_headings() {
        let errors = "# Errors\n## `no_session`\n## What to do, and when\n```\n# code\n```\n";
        for (text, stopped) in [
            ("[a](docs/errors.md)", false),
            ("[a](./docs/)", false),
            ("[a](docs/errors.md#no_session)", false),
            ("[a](docs/errors.md#what-to-do-and-when)", false),
            ("[a](docs/errors.md#code)", true),
            ("[a](docs/error.md)", true),
            ("[`a`](docs/error.md)", true),
            ("[a](../README.md)", false),
            ("[a](#here)", true),
            ("# Here\n[a](#here)", false),
            ("[a](https://example.org/nowhere.md)", false),
            ("`[a](nowhere.md)`", false),
            ("```\n[a](nowhere.md)\n```", false),
            ("[a]: nowhere.md", true),
            ("![a](nowhere.png) and [b](docs/errors.md)", true),
        ] {
            let found = places(check, &[("README.md", text), ("docs/errors.md", errors)]);
            assert_eq!(!found.is_empty(), stopped, "{text}: {found:?}");
        }
        let from_docs = [("docs/a.md", "[r](../README.md) [e](errors.md)"), ("README.md", "")];
        assert_eq!(places(check, &from_docs), ["docs/a.md:1"]);
    }
}
