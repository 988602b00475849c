//! Failures on their way to the record.
//!
//! One task writes them in batches: while one batch is being written the next gathers, so a storm
//! of failed logins costs the record a few statements a second. While the record is away they wait
//! here, bounded, and nobody waits for them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nightlatch_core::{
    Clock, Deadline, Failure, KeptFailures, NodeId, StoreError, ThrottleStore, Timestamp,
};
use tokio::sync::{Notify, watch};

/// The most failures that wait for the record. The oldest go first: they would be forgotten first
/// anyway.
const UNWRITTEN_MAX: usize = 10_000;
/// The most failures in one statement.
const BATCH_MAX: usize = 500;
/// How long a failed login waits for its failure to be kept.
const WRITTEN_SPAN: Duration = Duration::from_millis(250);
/// How long one batch may take.
const BATCH_SPAN: Duration = Duration::from_secs(2);
/// How long after a failed write the next is tried: one small statement a second from each node
/// does not trouble a record that is coming back.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A bounded queue before the record.
pub(super) struct Journal {
    store: Arc<dyn ThrottleStore>,
    node: NodeId,
    unwritten: Mutex<Unwritten>,
    arrived: Notify,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Unwritten {
    failures: VecDeque<Failure>,
    /// The number of the newest failure that ever arrived.
    last: u64,
    dropped: u64,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    /// All failures up to this number are written, or dropped.
    through: u64,
    /// The last write failed.
    is_away: bool,
}

impl Journal {
    pub(super) fn new(store: Arc<dyn ThrottleStore>, node: NodeId) -> Self {
        Self {
            store,
            node,
            unwritten: Mutex::default(),
            arrived: Notify::new(),
            progress: watch::Sender::new(Progress::default()),
        }
    }

    /// The failures that the record has kept.
    pub(super) async fn read(
        &self,
        since: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> Result<KeptFailures, StoreError> {
        self.store.list_failures(since, limit, deadline).await
    }

    /// Takes failures to be written; the number for [`Self::written`].
    pub(super) fn push(&self, failures: impl Iterator<Item = Failure>) -> u64 {
        let mut unwritten = self.unwritten();
        for failure in failures {
            unwritten.last += 1;
            unwritten.failures.push_back(failure);
            if unwritten.failures.len() > UNWRITTEN_MAX {
                unwritten.failures.pop_front();
                unwritten.dropped += 1;
            }
        }
        self.arrived.notify_one();
        unwritten.last
    }

    /// Ends when the failures up to `number` are written, or at once while they cannot be.
    pub(super) async fn written(&self, number: u64) {
        let mut progress = self.progress.subscribe();
        let is_settled = |progress: &Progress| progress.is_away || progress.through >= number;
        let settled = tokio::time::timeout(WRITTEN_SPAN, progress.wait_for(is_settled)).await;
        if settled.is_err() {
            tracing::debug!("a failed try is answered before it is written; it counts in memory");
        }
    }

    /// Writes until `stop` ends, then what is left.
    pub(super) async fn run(
        &self,
        clock: &dyn Clock,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) {
        loop {
            // Only waiting is cut short by the stop, never a write: its batch would be written
            // twice.
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.next_batch_is_due() => {}
            }
            self.write_batch(clock).await;
        }
        // Bounded by the journal's size.
        for _ in 0..UNWRITTEN_MAX.div_ceil(BATCH_MAX) {
            let left = !self.unwritten().failures.is_empty();
            if !left || !self.write_batch(clock).await {
                break;
            }
        }
    }

    async fn next_batch_is_due(&self) {
        if self.progress.borrow().is_away {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        while self.unwritten().failures.is_empty() {
            self.arrived.notified().await;
        }
    }

    /// Whether it was written.
    async fn write_batch(&self, clock: &dyn Clock) -> bool {
        let (batch, through) = self.unwritten().batch();
        let deadline = Deadline::within(clock, BATCH_SPAN);
        let answer = self.store.append_failures(self.node, batch, deadline).await;
        match &answer {
            Ok(()) => {
                let dropped = self.unwritten().remove_through(through);
                if dropped > 0 {
                    tracing::warn!(
                        throttle.failures_dropped = dropped,
                        "failed tries were not kept while the record was away; a restart forgets them"
                    );
                }
            }
            // The record's own health says so, once; here it would be a line each second.
            Err(error) => tracing::debug!(error = error as &dyn std::error::Error, "not written"),
        }
        self.progress.send_modify(|progress| {
            progress.is_away = answer.is_err();
            if answer.is_ok() {
                progress.through = through;
            }
        });
        answer.is_ok()
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().expect("queueing does not panic")
    }
}

impl Unwritten {
    /// The oldest failures, and the number of the last of them.
    fn batch(&self) -> (Vec<Failure>, u64) {
        let batch: Vec<Failure> = self.failures.iter().take(BATCH_MAX).copied().collect();
        let through = self.before_first() + batch.len() as u64;
        (batch, through)
    }

    /// Forgets what was written; how many were dropped since the last time. Failures that were
    /// dropped while they were being written are no longer there to be forgotten.
    fn remove_through(&mut self, through: u64) -> u64 {
        let written = through.saturating_sub(self.before_first());
        let written = usize::try_from(written).unwrap_or(usize::MAX).min(self.failures.len());
        self.failures.drain(..written);
        std::mem::take(&mut self.dropped)
    }

    fn before_first(&self) -> u64 {
        self.last - self.failures.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use nightlatch_core::{ThrottleKey, ThrottleScope};

    use super::*;

    fn failure(n: usize) -> Failure {
        let at = Timestamp::from_micros(i64::try_from(n).expect("small"));
        Failure { key: ThrottleKey::new(ThrottleScope::Login, [0; 16]), at }
    }

    fn unwritten(count: usize) -> Unwritten {
        Unwritten { failures: (1..=count).map(failure).collect(), last: count as u64, dropped: 0 }
    }

    #[test]
    fn a_batch_is_the_oldest_and_is_forgotten_once_written() {
        let mut unwritten = unwritten(BATCH_MAX + 2);
        let (batch, through) = unwritten.batch();
        assert_eq!((batch.len(), through), (BATCH_MAX, BATCH_MAX as u64));
        unwritten.remove_through(through);
        let (rest, _) = unwritten.batch();
        assert_eq!(rest, [failure(BATCH_MAX + 1), failure(BATCH_MAX + 2)]);
    }

    #[test]
    fn what_was_dropped_while_it_was_written_takes_nothing_else_along() {
        let mut unwritten = unwritten(4);
        let (_, through) = unwritten.batch();
        // Three of the batch were dropped, and three came.
        unwritten.failures.drain(..3);
        unwritten.failures.extend((5..=7).map(failure));
        (unwritten.last, unwritten.dropped) = (7, 3);
        assert_eq!(unwritten.remove_through(through), 3);
        assert_eq!(unwritten.batch().0, [failure(5), failure(6), failure(7)]);
    }
}
