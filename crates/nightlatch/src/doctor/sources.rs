//! What there is to examine: the settings as they were written, and what the server makes of them.

use std::time::Duration;

use super::finding::Finding;
use super::machine::Machine;
use super::written::Written;
use super::{env, ours};
use crate::config::{Config, LoadArgs, Loaded, ProblemLevel};

/// The settings, from wherever they come.
pub struct Sources {
    pub(super) written: Vec<Written>,
    pub(super) loaded: Loaded,
    /// What is wrong with the file itself.
    pub(super) of_file: Vec<Finding>,
    /// Where they are read.
    pub(super) machine: Machine,
}

impl Sources {
    /// As the server would read them. A file that is named is read alone, unless the environment is to
    /// count, too.
    #[must_use]
    pub fn read(args: &LoadArgs, with_environment: bool) -> Self {
        let is_alone = args.env_file.is_some() && !with_environment;
        let (written, of_file) = written(args, is_alone);
        let loaded = Config::examine(args, is_alone);
        Self { written, loaded, of_file, machine: Machine::here() }
    }

    /// Whether they are a Nightlatch's.
    pub(super) fn is_ours(&self) -> bool {
        ours::are_ours(&self.written)
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

/// What was written, in the file and, unless that is to be read alone, in the environment; and what is wrong
/// with the file itself.
pub(super) fn written(args: &LoadArgs, is_alone: bool) -> (Vec<Written>, Vec<Finding>) {
    let file = args.env_file();
    // A file that nobody named need not be there.
    let is_there = args.env_file.is_some() || file.is_file();
    let (mut written, of_file) =
        if is_there { env::read_file(&file) } else { (Vec::new(), Vec::new()) };
    if !is_alone {
        written.extend(Written::in_environment());
    }
    (written, of_file)
}
