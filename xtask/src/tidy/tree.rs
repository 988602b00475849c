//! The tracked files, and what a rule says about one of them.
//!
//! Rules get values and give values, so that their tests need neither git nor a disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::source::Source;

/// All files of the repository.
pub(crate) struct Tree {
    pub(crate) sources: Vec<Source>,
}

impl Tree {
    /// The files that git tracks, or would track if they were added.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let root = root();
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
            .current_dir(&root)
            .output()
            .context("tidy asks git for the tracked files, and git cannot be run")?;
        anyhow::ensure!(
            listed.status.success(),
            "git ls-files: {}",
            String::from_utf8_lossy(&listed.stderr).trim()
        );
        let paths = String::from_utf8(listed.stdout).context("a file name is not UTF-8")?;
        let mut sources = Vec::new();
        for path in paths.split_terminator('\0') {
            // What is deleted and not yet committed is still listed.
            let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
            let text = String::from_utf8(bytes).unwrap_or_default();
            sources.push(Source::new(path, &text));
        }
        Ok(Self::new(sources))
    }

    fn new(mut sources: Vec<Source>) -> Self {
        let declared: Vec<String> = sources.iter().flat_map(Source::declared_tests).collect();
        for source in &mut sources {
            let is_declared = declared.iter().any(|module| {
                let rest = source.path.strip_prefix(module.as_str());
                rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            });
            if is_declared {
                source.declare_test();
            }
        }
        Self { sources }
    }

    /// The source files in Rust.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.is_rust())
    }

    /// The file of this path.
    pub(crate) fn find(&self, path: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.path == path)
    }

    /// Whether there is such a file or directory.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.sources.iter().any(|source| {
            source
                .path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a directory of the workspace")
        .to_path_buf()
}

/// Whether `path` is `place`, or lies in it if it ends with a slash.
pub(crate) fn lies_in(path: &str, place: &str) -> bool {
    path == place || (place.ends_with('/') && path.starts_with(place))
}

/// Something that is wrong with a line.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) what: String,
    /// Why that matters, or how to put it right.
    pub(crate) fix: String,
}

impl Finding {
    pub(crate) fn new(
        path: &str,
        line: usize,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), fix: fix.into() }
    }

    /// About the byte at `offset` of a file.
    pub(crate) fn at(
        source: &Source,
        offset: usize,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(&source.path, source.line_of(offset), what, fix)
    }

    /// The line to print.
    pub(crate) fn line_of_rule(&self, rule: &str) -> String {
        format!("{}:{}: {rule}: {}: {}", self.path, self.line, self.what, self.fix)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What `rule` finds in these files, as `path:line`.
    pub(crate) fn places(rule: super::super::Rule, files: &[(&str, &str)]) -> Vec<String> {
        let found = rule(&tree(files));
        found.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
    }

    pub(crate) fn tree(files: &[(&str, &str)]) -> Tree {
        Tree::new(files.iter().map(|(path, text)| Source::new(path, text)).collect())
    }

    #[test]
    fn a_module_that_its_parent_declares_as_a_test_is_one() {
        let tree = tree(&[
            ("src/a.rs", "mod b;\n#[cfg(test)]\nmod wire;\n"),
            ("src/a/b.rs", "fn b() {}"),
            ("src/a/wire.rs", "fn w() {}"),
            ("src/a/wire/d.rs", "fn d() {}"),
        ]);
        let tests: Vec<bool> = tree.sources.iter().map(Source::is_test).collect();
        assert_eq!(tests, [false, false, true, true]);
    }

    #[test]
    fn files_and_directories_are_found() {
        let tree = tree(&[("docs/a.md", ""), ("README.md", "")]);
        for (path, there) in [
            ("docs/a.md", true),
            ("docs", true),
            ("docs/", true),
            ("doc", false),
            ("README", false),
        ] {
            assert_eq!(tree.has(path), there, "{path}");
        }
    }

    #[test]
    fn a_place_is_a_file_or_a_directory() {
        assert!(lies_in("a/b.rs", "a/b.rs"));
        assert!(lies_in("a/b/c.rs", "a/b/"));
        assert!(!lies_in("a/b.rs", "a/b/"));
    }

    #[test]
    fn a_finding_is_one_line_that_editors_can_jump_to() {
        let finding = Finding::new("a.rs", 3, "what", "why");
        assert_eq!(finding.line_of_rule("rule"), "a.rs:3: rule: what: why");
    }
}
