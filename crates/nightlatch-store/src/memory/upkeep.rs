//! What the reference record does for itself: failures, secrets and sweeping.

use nightlatch_core::{
    AuditedFailure, BoxFuture, Deadline, Failure, FailureNews, FailurePosition,
    KNOWN_PREFIX_RETENTION, KeptFailures, LookupFailures, NodeId, RecordStore, SessionId,
    StoreResult, Sweep, SweepBefore, ThrottleStore, Timestamp,
};

use super::{MemoryRecord, State};

impl ThrottleStore for MemoryRecord {
    fn append_failures(
        &self,
        by: NodeId,
        failures: Vec<Failure>,
        audited: Vec<AuditedFailure>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.run("appending failures", deadline, move |state| {
            for failure in failures {
                state.failures_end.0 += 1;
                state.failures.insert((failure.at, state.failures_end), (by, failure));
            }
            for failure in audited {
                state.audit_failure(failure);
            }
        })
    }

    fn list_failures(
        &self,
        since: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, KeptFailures> {
        self.run("listing failures", deadline, move |state| {
            let all = state.failures.values().rev().map(|(_, failure)| *failure);
            let after = all.take_while(|failure| failure.at > since);
            let mut failures: Vec<Failure> = after.take(limit as usize).collect();
            failures.reverse();
            KeptFailures { failures, through: state.failures_end }
        })
    }

    fn poll_failures(
        &self,
        by: NodeId,
        after: FailurePosition,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FailureNews> {
        self.run("polling failures", deadline, move |state| {
            let new = state.failures.iter().filter(|((_, position), _)| *position > after);
            let mut new: Vec<_> =
                new.map(|((_, position), (node, f))| (*position, *node, *f)).collect();
            new.sort_unstable_by_key(|(position, ..)| *position);
            new.truncate(limit as usize);
            let through = new.last().map_or(state.failures_end, |(position, ..)| *position);
            let others = new.iter().filter(|(_, node, _)| *node != by);
            FailureNews {
                failures: others.map(|(.., failure)| *failure).collect(),
                through,
                is_cut: through < state.failures_end,
                live: state.nodes.cluster(by, state.now()).live,
            }
        })
    }
}

impl RecordStore for MemoryRecord {
    /// There is no schema: nothing is ever applied.
    fn migrate(&self, deadline: Deadline) -> StoreResult<'_, Vec<String>> {
        self.run("migrating", deadline, |_| Vec::new())
    }

    /// Memory is never damaged.
    fn probe_lookups(&self, _: Deadline) -> BoxFuture<'_, LookupFailures> {
        Box::pin(std::future::ready(LookupFailures::default()))
    }

    fn sweep(&self, before: SweepBefore, limit: u32, deadline: Deadline) -> StoreResult<'_, Sweep> {
        self.run("sweeping", deadline, move |state| Sweep {
            sessions: state.sweep_sessions(before.ended, limit),
            application_sessions: state.sweep_applications(before.ended, limit),
            feed_rows: state.sweep_feed(before.ended, limit),
            throttle_rows: state.sweep_throttle(before.ended, limit),
            audit_rows: state.sweep_audit(before.audited, limit),
        })
    }

    fn shared_secret<'a>(
        &'a self,
        name: &'a str,
        fresh: Vec<u8>,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<u8>> {
        self.run("reading a shared secret", deadline, move |state| {
            state.secrets.entry(name.to_owned()).or_insert(fresh).clone()
        })
    }
}

impl State {
    fn sweep_sessions(&mut self, before: Timestamp, limit: u32) -> u64 {
        let past: Vec<SessionId> = self
            .sessions
            .values()
            .filter(|row| row.ended_at.unwrap_or(row.session.expires_at) < before)
            .map(|row| row.session.id)
            .take(limit as usize)
            .collect();
        for id in &past {
            if let Some(row) = self.sessions.remove(id) {
                self.tokens.remove(row.token.as_bytes());
            }
        }
        past.len() as u64
    }

    /// Rows go from the oldest on, so that what is left has no holes.
    fn sweep_feed(&mut self, before: Timestamp, limit: u32) -> u64 {
        let mut swept = 0;
        while swept < u64::from(limit) && self.feed.len() > 1 {
            let oldest = self.feed.first_entry().expect("there is more than one row");
            if oldest.get().written_at >= before {
                break;
            }
            self.pruned_to = *oldest.key();
            oldest.remove();
            swept += 1;
        }
        swept
    }

    fn sweep_throttle(&mut self, before: Timestamp, limit: u32) -> u64 {
        let limit = limit as usize;
        let old = self.failures.keys().copied().take_while(|(at, _)| *at < before);
        let failures: Vec<_> = old.take(limit).collect();
        for key in &failures {
            self.failures.remove(key);
        }
        let forgotten =
            self.prefixes.iter().filter(|(_, at)| at.after(KNOWN_PREFIX_RETENTION) < before);
        let prefixes: Vec<_> =
            forgotten.map(|(key, _)| *key).take(limit - failures.len()).collect();
        for key in &prefixes {
            self.prefixes.remove(key);
        }
        (failures.len() + prefixes.len()) as u64
    }
}
