//! When sessions were last used: gathered in memory, written in batches.
//!
//! Writing at every check would turn the cheapest request into the dearest. What is not written yet
//! is lost with the process; time in which it could not be written does not count as idle.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Service;
use crate::{Deadline, SessionId, StoreError, Timestamp};

/// A use is noted only if the last one noted is older: the device list needs no more.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// The most uses that wait to be written; beyond it new ones are not noted until the next flush.
const WAITING_MAX: usize = 100_000;

/// The most uses written in one batch, so that no login waits long behind it.
const BATCH_MAX: usize = 500;

/// Uses that wait to be written.
#[derive(Debug, Default)]
pub(super) struct LastSeen(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    seen: BTreeMap<SessionId, Timestamp>,
    /// Since when nothing could be written.
    failing_since: Option<Timestamp>,
}

impl LastSeen {
    pub(super) fn latest(&self, id: SessionId, written: Timestamp) -> Timestamp {
        self.lock().seen.get(&id).map_or(written, |seen| written.max(*seen))
    }

    pub(super) fn note(&self, id: SessionId, noted: Timestamp, now: Timestamp) {
        if now.since(noted) < NOTE_EVERY {
            return;
        }
        let mut waiting = self.lock();
        if waiting.seen.len() < WAITING_MAX || waiting.seen.contains_key(&id) {
            waiting.seen.insert(id, now);
        }
    }

    /// For how long nothing could be written.
    pub(super) fn unwritten_at(&self, now: Timestamp) -> Duration {
        self.lock().failing_since.map_or(Duration::ZERO, |since| now.since(since))
    }

    fn take_batch(&self) -> Vec<(SessionId, Timestamp)> {
        let mut waiting = self.lock();
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX
            && let Some(first) = waiting.seen.pop_first()
        {
            batch.push(first);
        }
        batch
    }

    fn put_back(&self, batch: Vec<(SessionId, Timestamp)>, now: Timestamp) {
        let mut waiting = self.lock();
        for (id, at) in batch {
            let latest = waiting.seen.get(&id).map_or(at, |seen| at.max(*seen));
            waiting.seen.insert(id, latest);
        }
        waiting.failing_since.get_or_insert(now);
    }

    fn written(&self) {
        self.lock().failing_since = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_could_not_be_written_waits_and_stops_the_idle_clock() {
        let seen = LastSeen::default();
        let id = SessionId::from_uuid(Uuid::from_u128(1));
        let at = |s: i64| Timestamp::from_micros(s * 1_000_000);
        seen.note(id, at(0), at(5));
        assert_eq!(seen.latest(id, at(0)), at(0), "too soon to note");
        seen.note(id, at(0), at(10));
        let batch = seen.take_batch();
        seen.note(id, at(10), at(25));
        seen.put_back(batch, at(30));
        assert_eq!(seen.latest(id, at(0)), at(25));
        assert_eq!(seen.unwritten_at(at(90)), Duration::from_mins(1));
        seen.written();
        assert_eq!(seen.unwritten_at(at(90)), Duration::ZERO);
    }
}
