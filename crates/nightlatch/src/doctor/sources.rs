//! What there is to examine: the settings as they were written, and what the server makes of them.

use std::path::Path;
use std::time::Duration;

use super::env::{self, read_lines};
use super::file_text;
use super::finding::Finding;
use super::written::Written;
use crate::config::{Config, LoadArgs, Loaded, ProblemLevel};

/// Names that nobody else has.
const OURS: [&str; 3] = ["SESSION_SECRET_KEY", "NIGHTLATCH_LISTEN", "CSRF_SECRET_KEY"];

/// The settings, from wherever they come.
pub struct Sources {
    pub(super) written: Vec<Written>,
    pub(super) loaded: Loaded,
    /// What is wrong with the file itself.
    pub(super) of_file: Vec<Finding>,
}

impl Sources {
    /// As the server would read them. A file that is named is read alone, unless the environment is to
    /// count, too.
    #[must_use]
    pub fn read(args: &LoadArgs, with_environment: bool) -> Self {
        let is_alone = args.env_file.is_some() && !with_environment;
        let (mut written, of_file) = read_file(&args.env_file(), args.env_file.is_some());
        if !is_alone {
            written.extend(Written::in_environment());
        }
        Self { written, loaded: Config::examine(args, is_alone), of_file }
    }

    /// Whether they are a Nightlatch's.
    pub(super) fn is_ours(&self) -> bool {
        self.written.iter().any(|it| OURS.contains(&it.name.as_str()))
    }

    /// A finding about the Redis of a Nightlatch, as bad as it is for logins: they go on without.
    #[must_use]
    pub fn bearable(&self, finding: Finding) -> Finding {
        let is_at_ours = finding.name.as_deref().is_some_and(|name| name.starts_with("REDIS_"));
        if finding.level < ProblemLevel::Error || !is_at_ours || !self.is_ours() {
            return finding;
        }
        let why = format!("{} (Nightlatch goes on without Redis)", finding.why);
        Finding { level: ProblemLevel::Warn, why, ..finding }
    }

    /// How long a request may wait for Redis, and what keys begin with.
    pub(super) fn redis_limits(&self) -> (Duration, String) {
        let configured = self.loaded.config.redis.as_ref();
        configured.map_or_else(
            || (Duration::from_millis(20), "nightlatch:".to_owned()),
            |redis| (redis.deadline, redis.key_prefix.clone()),
        )
    }
}

/// A file that nobody named need not be there.
fn read_file(path: &Path, is_named: bool) -> (Vec<Written>, Vec<Finding>) {
    if !is_named && !path.is_file() {
        return (Vec::new(), Vec::new());
    }
    let source = path.display().to_string();
    match file_text::read(path) {
        Ok(read) => read_lines(&source, read.text.expose()),
        Err(error) => (Vec::new(), vec![env::unreadable(&source, &error)]),
    }
}
