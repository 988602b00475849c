//! What doctor has to say at a start, beside what the server says of its settings itself.
//!
//! A server that starts is looked at by somebody; weeks later, when a secret that is used twice or a cache in
//! the sessions' database does harm, nobody runs doctor.

use super::finding::Finding;
use super::{env, sources};
use crate::config::ProblemLevel::Warn;
use crate::config::{LoadArgs, Report};

/// The most that are told.
const TOLD_MAX: usize = 20;

/// What may do harm, of the settings as the server reads them. Asks nobody.
#[must_use]
pub fn examine_at_start(load: &LoadArgs, report: &Report) -> Vec<Finding> {
    let (written, of_file) = sources::written(load, false);
    let source = load.env_file().display().to_string();
    let is_told = |finding: &Finding| {
        report.problems.iter().any(|it| it.id == finding.id || it.name == finding.name)
    };
    let findings = env::examine(&source, &written, &of_file).into_iter();
    findings.filter(|it| it.level >= Warn && !is_told(it)).take(TOLD_MAX).collect()
}
