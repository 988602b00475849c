//! A diagnosis: all findings, the worst first, and what they come to.

use std::cmp::Reverse;
use std::collections::HashSet;

use serde::Serialize;

use super::finding::{Finding, FindingJson};
use crate::config::ProblemLevel;

/// All that was found.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    findings: Vec<Finding>,
}

impl Diagnosis {
    /// The worst first; what is as bad, in the order of the file.
    #[must_use]
    pub fn of(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|it| (Reverse(it.level), it.line, it.column, !it.has_correction()));
        // What one examination says of a line, another need not say again, and nothing is told twice.
        let mut told = HashSet::new();
        findings.retain(|it| {
            let without_line = it.line.is_none().then(|| (it.name.clone(), it.why.clone()));
            told.insert((it.id, it.source.clone(), it.line, without_line))
        });
        Self { findings }
    }

    /// The findings, the worst first.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether a script should stop: for errors, with `strict` for warnings, too.
    #[must_use]
    pub fn is_failure(&self, strict: bool) -> bool {
        let least = if strict { ProblemLevel::Warn } else { ProblemLevel::Error };
        self.findings.iter().any(|finding| finding.level >= least)
    }

    /// In one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let of = |level| self.findings.iter().filter(|finding| finding.level == level).count();
        let plural = |count: usize, noun: &str| {
            let ending = if count == 1 { "" } else { "s" };
            format!("{count} {noun}{ending}")
        };
        let (errors, warnings) = (of(ProblemLevel::Error), of(ProblemLevel::Warn));
        match (errors, warnings) {
            (0, 0) => "nothing wrong was found".to_owned(),
            (0, warnings) => plural(warnings, "warning"),
            (errors, 0) => plural(errors, "error"),
            (errors, warnings) => {
                format!("{}, {}", plural(errors, "error"), plural(warnings, "warning"))
            }
        }
    }

    /// As `--json` prints it.
    #[must_use]
    pub fn to_json(&self) -> DiagnosisJson<'_> {
        DiagnosisJson {
            findings: self.findings.iter().map(FindingJson::from).collect(),
            summary: self.summary(),
        }
    }
}

/// A diagnosis as JSON has it.
#[derive(Debug, Serialize)]
pub struct DiagnosisJson<'a> {
    findings: Vec<FindingJson<'a>>,
    summary: String,
}
