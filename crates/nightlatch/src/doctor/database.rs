//! `doctor database`: looks at the record that the settings lead to, and says why it cannot be used, or
//! how well it can.
//!
//! Nothing is made, migrated or kept. A password goes only to the hosts and over the transport that are
//! configured; whatever else is tried is tried without.

mod attempt;
mod meant;
mod postgres;
mod refusal;
mod rights;
mod sqlite;
mod state;
mod url;

use std::time::Duration;

use tokio::time::timeout;

use super::configured::{Configured, problems};
use super::finding::Finding;
use super::sources::Sources;
use crate::config::Database;
use crate::config::ProblemLevel::Error;

/// The setting that says where it is.
const URL: &str = "DATABASE_URL";

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(19);

/// Whether the database that the settings lead to is a Nightlatch's. Others have a `DATABASE_URL`, too.
#[must_use]
pub fn is_database_ours(sources: &Sources) -> bool {
    sources.is_ours()
}

/// Looks at it. `tell` hears what is being done.
pub async fn examine_database(sources: &Sources, tell: &mut dyn FnMut(&str)) -> Vec<Finding> {
    let mut findings = problems(sources, &["DATABASE_"]);
    findings.extend(sources.of_file.iter().filter(|finding| finding.level == Error).cloned());
    // What stands in place of a setting that makes no sense is nobody's database.
    if findings.iter().any(|finding| finding.level == Error) {
        let told = timeout(LIMIT, meant::examine(sources, &findings)).await.ok().flatten();
        let is_new = |it: &Finding| told.as_ref().is_none_or(|told| told.id != it.id);
        findings.retain(is_new);
        findings.extend(told);
        return findings;
    }
    let subject = Configured::of(sources, URL);
    tell(&format!("{URL}: looking at {}", subject.shown()));
    let mut found = Vec::new();
    let looking = async {
        match &sources.loaded.config.database {
            Database::Sqlite { path } => sqlite::examine(&subject, path, &mut found).await,
            Database::Postgres(database) => {
                postgres::examine(sources, &subject, database, &mut found).await;
            }
        }
    };
    if timeout(LIMIT, looking).await.is_err() {
        let limit = LIMIT.as_secs();
        let why = format!("answers so late that it was left after {limit} s");
        found.push(Finding::new("database-hangs", Error, why));
    }
    findings.extend(found.into_iter().map(|finding| subject.told(finding)));
    findings
}
