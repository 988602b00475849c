//! `cargo xtask reference`: documents that the server writes about itself.
//!
//! A reference that is kept by hand is wrong by the second release. These are printed by the
//! program, tracked so that they can be read without it, and compared by tidy.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::tidy::{Finding, root};
use crate::{Task, say};

pub(crate) const TASK: Task =
    Task { name: "reference", about: "write the generated documents in docs/", run };

/// A document, and what the server is asked to print it.
struct Reference {
    path: &'static str,
    arguments: &'static [&'static str],
}

const REFERENCES: &[Reference] = &[
    Reference { path: "docs/config.md", arguments: &["config", "--reference"] },
    Reference { path: "docs/openapi.json", arguments: &["openapi"] },
];

fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(arguments.is_empty(), "takes no arguments");
    let server = build_server()?;
    for reference in REFERENCES {
        std::fs::write(root().join(reference.path), printed(&server, reference)?)
            .with_context(|| format!("writing {}", reference.path))?;
        say(&format!("wrote {}", reference.path));
    }
    Ok(ExitCode::SUCCESS)
}

/// Which documents are not what the server prints now.
pub(crate) fn check() -> anyhow::Result<Vec<Finding>> {
    let server = build_server()?;
    let mut findings = Vec::new();
    for reference in REFERENCES {
        match printed(&server, reference) {
            Ok(fresh) => {
                let tracked = std::fs::read_to_string(root().join(reference.path));
                findings.extend(difference(reference.path, tracked.ok().as_deref(), &fresh));
            }
            Err(error) => {
                let fix = "the server must print it, or leave it out of xtask/src/reference.rs";
                findings.push(Finding::new(reference.path, 1, format!("{error:#}"), fix));
            }
        }
    }
    Ok(findings)
}

/// The first line in which a document is not fresh.
fn difference(path: &str, tracked: Option<&str>, fresh: &str) -> Option<Finding> {
    let fix = "run `cargo xtask reference` and commit what it writes";
    let Some(tracked) = tracked else {
        return Some(Finding::new(path, 1, "is not there", fix));
    };
    if tracked == fresh {
        return None;
    }
    let same = tracked.lines().zip(fresh.lines()).take_while(|(old, new)| old == new).count();
    let now = fresh.lines().nth(same).unwrap_or("nothing more");
    Some(Finding::new(path, same + 1, format!("the server now prints `{}`", now.trim()), fix))
}

/// Builds the server as the tests build it: with other flags cargo would unite other features and
/// compile the dependencies once more.
fn build_server() -> anyhow::Result<PathBuf> {
    let status = Command::new("cargo")
        .args(["test", "--workspace", "--all-features", "--no-run", "--quiet"])
        .current_dir(root())
        .status()
        .context("running cargo")?;
    anyhow::ensure!(status.success(), "the workspace does not build");
    // Cargo puts all programs of a profile side by side.
    let own = std::env::current_exe().context("finding the directory of built programs")?;
    Ok(own.with_file_name("nightlatch"))
}

fn printed(server: &PathBuf, reference: &Reference) -> anyhow::Result<String> {
    let command = format!("nightlatch {}", reference.arguments.join(" "));
    let output = Command::new(server)
        .args(reference.arguments)
        // Neither a file nor a variable of this machine may show in it.
        .current_dir(std::env::temp_dir())
        .env_clear()
        .output()
        .with_context(|| format!("`{command}` cannot be run"))?;
    anyhow::ensure!(
        output.status.success(),
        "`{command}` failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    anyhow::ensure!(!output.stdout.is_empty(), "`{command}` printed nothing");
    String::from_utf8(output.stdout).with_context(|| format!("`{command}` printed no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_is_not_fresh_is_found_with_its_first_line() {
        let lines =
            |tracked| difference("docs/a.md", tracked, "one\ntwo\n").map(|finding| finding.line);
        assert_eq!(lines(Some("one\ntwo\n")), None);
        assert_eq!(lines(Some("one\n2\n")), Some(2));
        assert_eq!(lines(Some("one\ntwo\nthree\n")), Some(3));
        assert_eq!(lines(None), Some(1));
    }
}
