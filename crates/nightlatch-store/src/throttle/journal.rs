//! Failures on their way to the record.
//!
//! One task writes them in batches: while one batch is being written the next gathers, so a storm
//! of failed logins costs the record a few statements a second. While the record is away they wait
//! here, bounded, and nobody waits for them.
//!
//! What the audit log is told of them goes the same way, at most so many entries a minute: a flood of
//! guesses must not fill the record.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nightlatch_core::{
    Actor, AuditedFailure, Clock, Deadline, FailedTry, Failure, KeptFailures, NodeId, StoreError,
    ThrottleStore, Timestamp,
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
/// Failures that the audit log tells one by one, in [`AUDITED_SPAN`]; of more it tells how many.
const AUDITED_MAX: u32 = 1000;
const AUDITED_SPAN: Duration = Duration::from_mins(1);

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
    waiting: VecDeque<Item>,
    /// The number of the newest item that ever arrived.
    last: u64,
    dropped: u64,
    audited: AuditedLately,
}

/// What waits for the record.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Failure(Failure),
    Audited(AuditedFailure),
}

#[derive(Clone, Copy, Default)]
struct Progress {
    /// All items up to this number are written, or dropped.
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

    /// Takes failures to be written, and what the audit log is told of them; the number for
    /// [`Self::written`].
    pub(super) fn push(
        &self,
        failures: impl Iterator<Item = Failure>,
        audited: Option<AuditedFailure>,
        now: Duration,
    ) -> u64 {
        let mut unwritten = self.unwritten();
        let audited = audited.and_then(|failure| unwritten.audited.admit(failure, now));
        failures.map(Item::Failure).for_each(|item| unwritten.push(item));
        audited.map(Item::Audited).into_iter().for_each(|item| unwritten.push(item));
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
            self.unwritten().sum_up(clock.boottime());
            self.write_batch(clock).await;
        }
        self.unwritten().sum_up(Duration::MAX);
        // Bounded by the journal's size.
        for _ in 0..UNWRITTEN_MAX.div_ceil(BATCH_MAX) {
            let left = !self.unwritten().waiting.is_empty();
            if !left || !self.write_batch(clock).await {
                break;
            }
        }
    }

    async fn next_batch_is_due(&self) {
        if self.progress.borrow().is_away {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        while self.unwritten().waiting.is_empty() {
            // A flood that has ended is summed up though nothing follows it.
            let arrived = tokio::time::timeout(AUDITED_SPAN, self.arrived.notified()).await;
            if arrived.is_err() && self.unwritten().audited.has_sum() {
                return;
            }
        }
    }

    /// Whether it was written.
    async fn write_batch(&self, clock: &dyn Clock) -> bool {
        let (failures, audited, through) = self.unwritten().batch();
        let deadline = Deadline::within(clock, BATCH_SPAN);
        let answer = self.store.append_failures(self.node, failures, audited, deadline).await;
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

/// How many failures were told to the audit log lately.
#[derive(Default)]
struct AuditedLately {
    /// Since boot.
    since: Duration,
    count: u32,
    /// Those of this time that are only counted.
    sum: Option<AuditedFailure>,
}

impl AuditedLately {
    /// The failure, if it is told by itself.
    fn admit(&mut self, failure: AuditedFailure, now: Duration) -> Option<AuditedFailure> {
        if self.sum.is_none() && self.is_over(now) {
            (self.since, self.count) = (now, 0);
        }
        if self.sum.is_none() && self.count < AUDITED_MAX {
            self.count += 1;
            return Some(failure);
        }
        let tried = FailedTry { user: None, by: Actor::node() };
        let sum = self.sum.get_or_insert(AuditedFailure { count: 0, tried, ..failure });
        sum.count += failure.count;
        None
    }

    fn take_sum(&mut self, now: Duration) -> Option<AuditedFailure> {
        if self.is_over(now) { self.sum.take() } else { None }
    }

    const fn has_sum(&self) -> bool {
        self.sum.is_some()
    }

    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= AUDITED_SPAN
    }
}

impl Unwritten {
    fn push(&mut self, item: Item) {
        self.last += 1;
        self.waiting.push_back(item);
        if self.waiting.len() > UNWRITTEN_MAX {
            self.waiting.pop_front();
            self.dropped += 1;
        }
    }

    /// An entry for those that were only counted, once their time is over.
    fn sum_up(&mut self, now: Duration) {
        if let Some(sum) = self.audited.take_sum(now) {
            self.push(Item::Audited(sum));
        }
    }

    /// The oldest items, and the number of the last of them.
    fn batch(&self) -> (Vec<Failure>, Vec<AuditedFailure>, u64) {
        let (mut failures, mut audited) = (Vec::new(), Vec::new());
        for item in self.waiting.iter().take(BATCH_MAX) {
            match item {
                Item::Failure(failure) => failures.push(*failure),
                Item::Audited(failure) => audited.push(failure.clone()),
            }
        }
        let through = self.before_first() + (failures.len() + audited.len()) as u64;
        (failures, audited, through)
    }

    /// Forgets what was written; how many were dropped since the last time. Failures that were
    /// dropped while they were being written are no longer there to be forgotten.
    fn remove_through(&mut self, through: u64) -> u64 {
        let written = through.saturating_sub(self.before_first());
        let written = usize::try_from(written).unwrap_or(usize::MAX).min(self.waiting.len());
        self.waiting.drain(..written);
        std::mem::take(&mut self.dropped)
    }

    fn before_first(&self) -> u64 {
        self.last - self.waiting.len() as u64
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
        let mut unwritten = Unwritten::default();
        (1..=count).map(|n| Item::Failure(failure(n))).for_each(|item| unwritten.push(item));
        unwritten
    }

    #[test]
    fn a_batch_is_the_oldest_and_is_forgotten_once_written() {
        let mut unwritten = unwritten(BATCH_MAX + 2);
        let (batch, _, through) = unwritten.batch();
        assert_eq!((batch.len(), through), (BATCH_MAX, BATCH_MAX as u64));
        unwritten.remove_through(through);
        let (rest, ..) = unwritten.batch();
        assert_eq!(rest, [failure(BATCH_MAX + 1), failure(BATCH_MAX + 2)]);
    }

    #[test]
    fn what_was_dropped_while_it_was_written_takes_nothing_else_along() {
        let mut unwritten = unwritten(4);
        let (.., through) = unwritten.batch();
        // Three of the batch were dropped, and three came.
        unwritten.waiting.drain(..3);
        unwritten.waiting.extend((5..=7).map(|n| Item::Failure(failure(n))));
        (unwritten.last, unwritten.dropped) = (7, 3);
        assert_eq!(unwritten.remove_through(through), 3);
        assert_eq!(unwritten.batch().0, [failure(5), failure(6), failure(7)]);
    }

    fn audited(n: i64) -> AuditedFailure {
        let tried = FailedTry { user: None, by: Actor::command("somebody") };
        AuditedFailure { at: Timestamp::from_micros(n), tried, count: 1 }
    }

    #[test]
    fn a_flood_is_told_one_by_one_at_first_and_then_by_its_number() {
        let second = Duration::from_secs;
        let mut lately = AuditedLately::default();
        for n in 0..i64::from(AUDITED_MAX) {
            assert_eq!(lately.admit(audited(n), second(70)), Some(audited(n)));
        }
        for n in 5000..5007 {
            assert_eq!(lately.admit(audited(n), second(80)), None);
        }
        assert_eq!(lately.take_sum(second(129)), None, "it goes on");
        let sum = lately.take_sum(second(130)).expect("its minute is over");
        assert_eq!((sum.count, sum.at), (7, Timestamp::from_micros(5000)));
        assert_eq!(sum.tried, FailedTry { user: None, by: Actor::node() });
        assert_eq!(lately.admit(audited(1), second(131)), Some(audited(1)));
        assert!(!lately.has_sum());
    }
}
