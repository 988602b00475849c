//! When sessions were last used: gathered in memory, written in batches.
//!
//! Writing at every check would turn the cheapest request into the dearest. What is not written yet
//! is lost with the process; time in which it could not be written does not count as idle.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Service;
use crate::{Deadline, FoundSession, SessionId, StoreError, Timestamp};

/// A use is noted only if the last one noted is older: the device list needs no more.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// The most uses that wait to be written; beyond it new ones are not noted until the next flush.
const WAITING_MAX: usize = 100_000;

/// The most uses written in one batch, so that no login waits long behind it.
const BATCH_MAX: usize = 500;

/// Uses that wait to be written.
#[derive(Debug, Default)]
pub(super) struct LastSeen {
    waiting: Mutex<BTreeMap<SessionId, Timestamp>>,
    /// Since when nothing could be written; [`WELL`] while it can. Read at every session check.
    failing_since: AtomicI64,
}

/// Not a time at which anything failed.
const WELL: i64 = 0;

impl LastSeen {
    pub(super) fn latest(&self, id: SessionId, written: Timestamp) -> Timestamp {
        self.lock().get(&id).map_or(written, |seen| written.max(*seen))
    }

    /// Notes that a session is used, if that is news. The holders of its copy know it at once.
    pub(super) fn note(&self, found: &FoundSession, now: Timestamp) {
        if now.since(found.last_use.get()) < NOTE_EVERY {
            return;
        }
        let mut waiting = self.lock();
        let id = found.session.id;
        if waiting.len() < WAITING_MAX || waiting.contains_key(&id) {
            waiting.insert(id, now);
            found.last_use.raise(now);
        }
    }

    /// For how long nothing could be written.
    pub(super) fn unwritten_at(&self, now: Timestamp) -> Duration {
        match self.failing_since.load(Ordering::Relaxed) {
            WELL => Duration::ZERO,
            since => now.since(Timestamp::from_micros(since)),
        }
    }

    fn take_batch(&self) -> Vec<(SessionId, Timestamp)> {
        let mut waiting = self.lock();
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX
            && let Some(first) = waiting.pop_first()
        {
            batch.push(first);
        }
        batch
    }

    fn put_back(&self, batch: Vec<(SessionId, Timestamp)>, now: Timestamp) {
        let mut waiting = self.lock();
        for (id, at) in batch {
            let latest = waiting.get(&id).map_or(at, |seen| at.max(*seen));
            waiting.insert(id, latest);
        }
        // The first failure counts; who comes later finds it set.
        let _ = self.failing_since.compare_exchange(
            WELL,
            now.as_micros(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    fn written(&self) {
        self.failing_since.store(WELL, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Timestamp>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Writes what is waiting, batch by batch. The caller does this every few seconds and once more
    /// when it stops.
    ///
    /// # Errors
    /// The record's; what was not written waits for the next call.
    pub async fn flush_last_seen(&self, deadline: Deadline) -> Result<(), StoreError> {
        // Bounded by what can wait.
        for _ in 0..=WAITING_MAX / BATCH_MAX {
            let batch = self.last_seen.take_batch();
            if batch.is_empty() {
                break;
            }
            if let Err(error) = self.ports.record.touch_sessions(batch.clone(), deadline).await {
                self.last_seen.put_back(batch, self.now());
                return Err(error);
            }
        }
        self.last_seen.written();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::found_session;

    #[test]
    fn what_could_not_be_written_waits_and_stops_the_idle_clock() {
        let seen = LastSeen::default();
        let at = |s: i64| Timestamp::from_micros(s * 1_000_000);
        let found = found_session(at(1));
        let id = found.session.id;
        seen.note(&found, at(6));
        assert_eq!(seen.latest(id, at(1)), at(1), "too soon to note");
        seen.note(&found, at(11));
        assert_eq!(found.last_use.get(), at(11), "whoever holds the copy knows");
        let batch = seen.take_batch();
        seen.note(&found, at(25));
        seen.put_back(batch, at(30));
        assert_eq!(seen.latest(id, at(1)), at(25));
        seen.put_back(seen.take_batch(), at(50));
        assert_eq!(seen.unwritten_at(at(90)), Duration::from_mins(1));
        seen.written();
        assert_eq!(seen.unwritten_at(at(90)), Duration::ZERO);
    }
}
