//! `nightlatch doctor` beside real servers in each state that it tells apart.
//!
//! It must name the cause, find nothing where nothing is wrong, and never show a secret.

mod all;
mod auth_service;
mod compose;
mod database;
mod fixing;
mod redis;
mod session;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::record::launch;

/// In every password here, and in nothing that is printed.
const MARK: &str = "sesame";

const DOCUMENT: &str = include_str!("../../../../docs/findings.md");

/// What doctor found.
pub(crate) struct Verdict {
    pub(crate) findings: Vec<Value>,
    pub(crate) code: Option<i32>,
}

impl Verdict {
    /// The ids of what is more than good to know.
    pub(crate) fn wrong(&self) -> Vec<&str> {
        let wrong = self.findings.iter().filter(|finding| finding["level"] != "info");
        let ids: BTreeSet<&str> = wrong.filter_map(|finding| finding["id"].as_str()).collect();
        ids.into_iter().collect()
    }

    pub(crate) fn find(&self, id: &str) -> &Value {
        let found = self.findings.iter().find(|finding| finding["id"] == id);
        found.unwrap_or_else(|| panic!("no {id} in {:#?}", self.findings))
    }
}

/// Runs it in a folder with a file of that text.
fn doctor(topic: &str, text: &str) -> Verdict {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(".env"), text).expect("our folder takes a file");
    doctor_in(folder.path(), &[topic, "--env-file", ".env"])
}

pub(crate) fn doctor_in(folder: &Path, arguments: &[&str]) -> Verdict {
    judged(&run(folder, &[arguments, &["--json"]].concat()))
}

/// What was found, if it is fit to be printed: documented, and without a secret.
pub(crate) fn judged(output: &Output) -> Verdict {
    assert_nothing_secret(output);
    let out = String::from_utf8_lossy(&output.stdout);
    let said: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    let findings = said["findings"].as_array().expect("a list").clone();
    for finding in &findings {
        let id = finding["id"].as_str().expect("a text");
        assert!(DOCUMENT.contains(&format!("\n## {id}\n")), "docs/findings.md has no {id}");
    }
    Verdict { findings, code: output.status.code() }
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let arguments = [&["doctor"], arguments].concat();
    let output = launch().command(folder, &arguments).output().expect("it runs");
    assert_nothing_secret(&output);
    output
}

fn assert_nothing_secret(output: &Output) {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(!said.contains(MARK), "a secret is shown: {said}");
    assert!(!said.contains("panicked"), "{said}");
}
