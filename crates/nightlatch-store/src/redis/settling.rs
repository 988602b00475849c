//! How tries ended, on the way to Redis.
//!
//! What could not be written is tried again: a try that nobody settles holds up others. It waits
//! beside what comes, since it may be of one server of a Cluster that alone is gone. What has been
//! written is remembered for a while, so that it is noticed where Redis has forgotten it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{Limit, ThrottleKey, Timestamp};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, mpsc};
use tokio::time::{Instant, sleep_until};

use super::counters::{CLOCK_TOLERANCE, HELD_MAX};
use crate::throttle::Reservation;

/// What waits to be written, and what waits to be written again. More is dropped, and counts by the
/// record alone.
const WAITING_MAX: usize = 4096;

/// The most that is written at once.
const BATCH_MAX: usize = 64;

/// How long it is waited until what could not be written is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Of how many counters it is remembered what has been written, and how many failures of each: all of
/// those of a login's limit, and of a larger one the first and the last.
const WITNESSED_MAX: usize = 4096;
const WITNESSES_MAX: usize = 16;

/// How a try ended, for one of its counters.
pub(super) struct Settled {
    pub(super) key: ThrottleKey,
    pub(super) limit: Limit,
    /// When, in record time.
    pub(super) at: Timestamp,
    /// What is to be removed.
    pub(super) pending: Option<Reservation>,
    /// What is to be counted.
    pub(super) failed: Option<Reservation>,
    /// Whether it has been tried in vain.
    pub(super) is_late: bool,
}

/// What waits, and for which counters.
pub(super) struct Settling {
    add: mpsc::Sender<Settled>,
    added: AsyncMutex<mpsc::Receiver<Settled>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many failures of a counter could not be written when they were tried.
    late: HashMap<ThrottleKey, usize>,
    ended: Ended,
}

/// The failures that Redis has acknowledged, or was never to hear of.
#[derive(Default)]
struct Ended {
    by_key: HashMap<ThrottleKey, VecDeque<Reservation>>,
    /// The order in which they came; who comes first goes first.
    keys: VecDeque<ThrottleKey>,
}

/// The writer's side.
pub(super) struct Waiting<'a> {
    settling: &'a Settling,
    added: AsyncMutexGuard<'a, mpsc::Receiver<Settled>>,
    late: VecDeque<Settled>,
    again_at: Instant,
    /// How many of the late ones are still to be tried in this turn.
    turn: usize,
}

impl Settling {
    pub(super) fn new() -> Self {
        let (add, added) = mpsc::channel(WAITING_MAX);
        Self { add, added: AsyncMutex::new(added), state: Mutex::default() }
    }

    /// Has it written at some time, or not at all.
    pub(super) fn add(&self, settled: Settled) {
        // Full, or nobody writes: it counts on this node, and by the record.
        if let Err(TrySendError::Full(lost) | TrySendError::Closed(lost)) =
            self.add.try_send(settled)
        {
            self.state().end(&lost);
        }
    }

    /// The one who writes, one at a time.
    pub(super) async fn waiting(&self) -> Waiting<'_> {
        let (added, again_at) = (self.added.lock().await, Instant::now());
        Waiting { settling: self, added, late: VecDeque::new(), again_at, turn: 0 }
    }

    /// Whether failures of a counter could not be written yet.
    pub(super) fn is_late(&self, key: &ThrottleKey) -> bool {
        self.state().late.contains_key(key)
    }

    /// Failures of a counter that must have been written, and count for a while yet.
    pub(super) fn witnesses(
        &self,
        key: &ThrottleKey,
        limit: Limit,
        now: Timestamp,
    ) -> Vec<Reservation> {
        let since = now.before(limit.span.saturating_sub(CLOCK_TOLERANCE)).as_micros();
        let state = self.state();
        let ended = state.ended.by_key.get(key).into_iter().flatten();
        ended.filter(|failed| failed.at > since).copied().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// It could not be written.
    fn keep(&mut self, settled: &mut Settled) {
        if settled.failed.is_some() && !settled.is_late {
            *self.late.entry(settled.key).or_default() += 1;
            settled.is_late = true;
        }
    }

    /// It is written, or given up: then it is missed there, and Redis is not asked about that counter
    /// for as long as it would count.
    fn end(&mut self, settled: &Settled) {
        let Some(failed) = settled.failed else { return };
        if settled.is_late
            && let Some(count) = self.late.get_mut(&settled.key)
        {
            *count -= 1;
            if *count == 0 {
                self.late.remove(&settled.key);
            }
        }
        self.ended.add(settled.key, (failed, settled.limit), settled.at);
    }
}

impl Ended {
    fn add(&mut self, key: ThrottleKey, (failed, limit): (Reservation, Limit), now: Timestamp) {
        let known = self.by_key.entry(key).or_insert_with(|| {
            self.keys.push_back(key);
            VecDeque::new()
        });
        // Those that count no longer are in nobody's way.
        let since = now.before(limit.span).as_micros();
        known.retain(|witness| witness.at > since);
        if known.len() == WITNESSES_MAX {
            known.remove(WITNESSES_MAX / 2);
        }
        known.push_back(failed);
        if self.keys.len() > WITNESSED_MAX
            && let Some(oldest) = self.keys.pop_front()
        {
            self.by_key.remove(&oldest);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.settling.state();
        for settled in &self.late {
            state.end(settled);
        }
    }
}

impl Waiting<'_> {
    /// What is to be written next; `None`: nothing will come any more.
    pub(super) async fn next(&mut self, now: impl Fn() -> Timestamp) -> Option<Vec<Settled>> {
        loop {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            let again = sleep_until(self.again_at);
            tokio::select! {
                count = self.added.recv_many(&mut batch, BATCH_MAX) => if count == 0 { return None },
                () = again, if !self.late.is_empty() => batch = self.take_late(),
            }
            self.forget_old(&mut batch, now());
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    /// What became of a batch.
    pub(super) fn tried(&mut self, batch: Vec<Settled>, written: &[bool]) {
        if self.late.is_empty() {
            self.again_at = Instant::now() + AGAIN_AFTER;
        }
        let mut state = self.settling.state();
        for (mut settled, is_written) in batch.into_iter().zip(written) {
            if *is_written {
                state.end(&settled);
            } else {
                state.keep(&mut settled);
                self.late.push_back(settled);
            }
        }
        while self.late.len() > WAITING_MAX
            && let Some(oldest) = self.late.pop_front()
        {
            state.end(&oldest);
        }
    }

    /// The next of those that are tried again, each once in a turn.
    fn take_late(&mut self) -> Vec<Settled> {
        if self.turn == 0 {
            self.turn = self.late.len();
        }
        let count = self.turn.min(BATCH_MAX).min(self.late.len());
        self.turn = (self.turn - count).min(self.late.len() - count);
        if self.turn == 0 {
            self.again_at = Instant::now() + AGAIN_AFTER;
        }
        self.late.drain(..count).collect()
    }

    /// After so long it is waited for by nobody.
    fn forget_old(&self, batch: &mut Vec<Settled>, now: Timestamp) {
        batch.retain(|settled| {
            let is_old = now.since(settled.at) >= HELD_MAX;
            if is_old {
                self.settling.state().end(settled);
            }
            !is_old
        });
    }
}

#[cfg(test)]
mod tests {
    use nightlatch_core::ThrottleScope;

    use super::*;

    const LIMIT: Limit = Limit { count: 3, span: Duration::from_mins(1) };
    const AT: Timestamp = Timestamp::EPOCH;

    fn key(number: u8) -> ThrottleKey {
        ThrottleKey::new(ThrottleScope::Login, [number; 16])
    }

    /// A failure of a counter, at a microsecond.
    fn failure(number: u8, at: i64) -> Settled {
        let failed = Some(Reservation { id: [number; 8], at });
        Settled { key: key(number), limit: LIMIT, at: AT, pending: None, failed, is_late: false }
    }

    fn times(batch: &[Settled]) -> Vec<i64> {
        batch.iter().filter_map(|settled| Some(settled.failed?.at)).collect()
    }

    impl Settling {
        fn written(&self, number: u8) -> Vec<i64> {
            let written = self.witnesses(&key(number), LIMIT, AT);
            written.iter().map(|failed| failed.at).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_written_holds_up_nothing_that_can() {
        let settling = Settling::new();
        let mut waiting = settling.waiting().await;
        settling.add(failure(1, 1));
        let batch = waiting.next(|| AT).await.expect("one waits");
        assert!(!settling.is_late(&key(1)), "it is tried for the first time");
        waiting.tried(batch, &[false]);
        for at in 2..10 {
            settling.add(failure(2, at));
            let batch = waiting.next(|| AT).await.expect("one waits");
            assert_eq!(times(&batch), [at]);
            waiting.tried(batch, &[true]);
            assert!(settling.is_late(&key(1)) && !settling.is_late(&key(2)));
        }
        let asked = Instant::now();
        let batch = waiting.next(|| AT).await.expect("the late one is tried again");
        assert_eq!((times(&batch), asked.elapsed()), (vec![1], AGAIN_AFTER));
        assert!(settling.written(1).is_empty());
        waiting.tried(batch, &[true]);
        assert_eq!(settling.written(1), [1]);
        assert!(!settling.is_late(&key(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn each_that_is_late_is_tried_once_in_a_turn_and_dropped_in_the_end() {
        let settling = Settling::new();
        let mut waiting = settling.waiting().await;
        for at in 0..100 {
            settling.add(failure(1, at));
        }
        for seen in [BATCH_MAX, 100 - BATCH_MAX] {
            let batch = waiting.next(|| AT).await.expect("some wait");
            assert_eq!(batch.len(), seen);
            waiting.tried(batch, &[false; BATCH_MAX]);
        }
        let mut seen = Vec::new();
        while seen.len() < 100 {
            let batch = waiting.next(|| AT).await.expect("some are late");
            seen.extend(times(&batch));
            waiting.tried(batch, &[false; BATCH_MAX]);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        let later = AT.after(HELD_MAX);
        drop(tokio::time::timeout(Duration::from_mins(1), waiting.next(|| later)).await);
        assert!(waiting.late.is_empty() && settling.state().late.is_empty());
        assert!(!settling.written(1).is_empty(), "that they are missing is found out");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_never_written_is_missed() {
        let settling = Settling::new();
        for at in 0..=i64::try_from(WAITING_MAX).expect("it is small") {
            settling.add(failure(1, at));
        }
        assert_eq!(settling.written(1).len(), 1, "there is no room for the last");
        let mut waiting = settling.waiting().await;
        let batch = waiting.next(|| AT).await.expect("they wait");
        waiting.tried(batch, &[false; BATCH_MAX]);
        assert!(settling.is_late(&key(1)));
        drop(waiting);
        assert!(!settling.is_late(&key(1)), "nobody tries them any more");
        assert_eq!(settling.written(1).len(), WITNESSES_MAX);
    }

    #[test]
    fn failures_that_count_no_longer_are_not_in_the_way_of_others() {
        let settling = Settling::new();
        let later = AT.after(LIMIT.span);
        for (at, count) in [(AT, 8), (later, 16)] {
            for number in 0..count {
                let at = at.after(Duration::from_micros(number + 1));
                let settled = Settled { at, ..failure(1, at.as_micros()) };
                settling.state().end(&settled);
            }
        }
        assert_eq!(settling.witnesses(&key(1), LIMIT, later).len(), 16);
    }

    #[test]
    fn what_has_been_written_is_remembered_within_limits() {
        let settling = Settling::new();
        for at in 0..20 {
            settling.state().end(&failure(1, at));
        }
        let first_and_last = [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18, 19];
        assert_eq!(settling.written(1), first_and_last);
        let later = AT.after(LIMIT.span);
        assert!(settling.witnesses(&key(1), LIMIT, later).is_empty(), "they count no more soon");
        for number in 0..WITNESSED_MAX {
            let mut digest = [0; 16];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            let key = ThrottleKey::new(ThrottleScope::Device, digest);
            settling.state().end(&Settled { key, ..failure(1, 0) });
        }
        assert!(settling.written(1).is_empty(), "others have come since");
        assert_eq!(settling.state().ended.by_key.len(), WITNESSED_MAX);
    }
}
