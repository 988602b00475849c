//! What a node does beside its requests: each job in its own rhythm, none in the way of another.
//!
//! A job that fails is tried again at its next turn. That the record is away is told once, by
//! [`crate::health`], not here.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    AccessTokens, Deadline, FEED_RETENTION, Record, Service, StoreError, SweepBefore,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::hashing::HashPool;

/// How often uses of sessions are written.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// How often revocations that wait for the record are tried again.
const RETRY_PENDING_EVERY: Duration = Duration::from_millis(500);

/// How often ended rows are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// Rows of each kind that one sweep removes, so that no login waits long behind it.
const SWEEP_ROWS_MAX: u32 = 500;

/// Sweeps that follow each other while there is more: together as many rows as a busy record makes.
const SWEEPS_MAX: u32 = 40;

/// How often the kinds of stored hashes are looked at: an import brings dearer ones.
const LEARN_KINDS_EVERY: Duration = Duration::from_secs(30);

/// How often it is looked which keys there are: well before a new one signs.
const LEARN_KEYS_EVERY: Duration = Duration::from_secs(30);

/// The longest a job waits for the record.
const JOB_DEADLINE: Duration = Duration::from_secs(2);

/// What the jobs work on.
#[derive(Clone)]
pub struct Jobs {
    /// The use cases.
    pub service: Arc<Service>,
    /// The record.
    pub record: Arc<dyn Record>,
    /// The hashing pool.
    pub hasher: Arc<HashPool>,
    /// Writes access tokens.
    pub access_tokens: Arc<dyn AccessTokens>,
    /// How long entries of the audit log are kept.
    pub audit_retention: Duration,
}

impl Jobs {
    /// Starts every job; they end when `stop` is cancelled.
    pub fn start(self, tasks: &TaskTracker, stop: &CancellationToken) {
        let jobs = self.clone();
        repeat(tasks, stop, FLUSH_EVERY, move || jobs.clone().flush());
        let jobs = self.clone();
        repeat(tasks, stop, RETRY_PENDING_EVERY, move || jobs.clone().retry_pending());
        let jobs = self.clone();
        repeat(tasks, stop, SWEEP_EVERY, move || jobs.clone().sweep());
        let jobs = self.clone();
        repeat(tasks, stop, LEARN_KEYS_EVERY, move || jobs.clone().learn_keys());
        repeat(tasks, stop, LEARN_KINDS_EVERY, move || self.clone().learn_kinds());
    }

    async fn flush(self) {
        note("last_seen.flush", self.service.flush_last_seen(self.deadline()).await);
    }

    async fn retry_pending(self) {
        note("logout.retry", self.service.retry_pending(self.deadline()).await);
    }

    async fn sweep(self) {
        let now = self.service.now();
        let before = SweepBefore {
            ended: now.before(FEED_RETENTION),
            audited: now.before(self.audit_retention),
        };
        for _ in 0..SWEEPS_MAX {
            let swept = self.record.sweep(before, SWEEP_ROWS_MAX, self.deadline()).await;
            let may_be_more = swept.as_ref().is_ok_and(|swept| swept.has_any(SWEEP_ROWS_MAX));
            note("record.sweep", swept.map(|_| ()));
            if !may_be_more {
                break;
            }
        }
    }

    /// Learns which kinds of hashes are stored, for the moment at which failed logins are answered.
    pub async fn learn_kinds(self) {
        match self.record.list_hash_kinds(self.deadline()).await {
            Ok(kinds) => self.hasher.learn_kinds(kinds).await,
            Err(error) => note("password.learn_kinds", Err(error)),
        }
    }

    /// Learns which keys sign access tokens.
    pub async fn learn_keys(self) {
        let learned = self.access_tokens.learn_keys(self.deadline()).await;
        note("token.learn_keys", learned.map(|_| ()));
    }

    fn deadline(&self) -> Deadline {
        Deadline::within(self.service.clock(), JOB_DEADLINE)
    }
}

fn note(job: &'static str, result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::debug!(event = "job.postponed", job, error = %error);
    }
}

fn repeat<F: Future<Output = ()> + Send + 'static>(
    tasks: &TaskTracker,
    stop: &CancellationToken,
    every: Duration,
    job: impl Fn() -> F + Send + 'static,
) {
    let stop = stop.clone();
    tasks.spawn(async move {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
            job().await;
        }
    });
}
