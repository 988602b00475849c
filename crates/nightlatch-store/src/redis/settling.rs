//! How tries ended, on the way to Redis.
//!
//! What could not be written is tried again: a try that nobody settles holds up others. It waits
//! beside what comes, since it may be of one server of a Cluster that alone is gone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{Limit, ThrottleKey, Timestamp};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, mpsc};
use tokio::time::{Instant, sleep_until};

use super::counters::HELD_MAX;
use crate::throttle::Reservation;

/// What waits to be written, and what waits to be written again. More is dropped, and counts by the
/// record alone.
const WAITING_MAX: usize = 4096;

/// The most that is written at once.
const BATCH_MAX: usize = 64;

/// How long it is waited until what could not be written is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How a try ended, for one of its counters.
pub(super) struct Settled {
    pub(super) key: ThrottleKey,
    pub(super) limit: Limit,
    /// When, in record time.
    pub(super) at: Timestamp,
    /// And since boot.
    pub(super) told: Duration,
    /// What is to be removed.
    pub(super) pending: Option<Reservation>,
    /// What is to be counted.
    pub(super) failed: Option<Reservation>,
}

/// What waits, and for which counters.
pub(super) struct Settling {
    add: mpsc::Sender<Settled>,
    added: AsyncMutex<mpsc::Receiver<Settled>>,
    unwritten: Mutex<HashMap<ThrottleKey, Unwritten>>,
}

/// Failures of a counter that Redis has not been told, or has not acknowledged.
#[derive(Default)]
struct Unwritten {
    told: Vec<Duration>,
    /// Whether one of them could not be written when it was tried.
    is_late: bool,
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
        Self { add, added: AsyncMutex::new(added), unwritten: Mutex::default() }
    }

    /// Has it written at some time, or not at all.
    pub(super) fn add(&self, settled: Settled) {
        self.begin(&settled);
        // Full, or nobody writes: it counts on this node, and by the record.
        if let Err(refused) = self.add.try_send(settled) {
            self.end(&refused.into_inner());
        }
    }

    /// The one who writes, one at a time.
    pub(super) async fn waiting(&self) -> Waiting<'_> {
        let (added, again_at) = (self.added.lock().await, Instant::now());
        Waiting { settling: self, added, late: VecDeque::new(), again_at, turn: 0 }
    }

    /// Up to when the failures of a counter have been written; `None`: some of them could not be.
    pub(super) fn written_until(&self, key: &ThrottleKey, now: Duration) -> Option<Duration> {
        match self.unwritten().get(key) {
            None => Some(now),
            Some(Unwritten { is_late: true, .. }) => None,
            Some(Unwritten { told, .. }) => told.iter().min().copied(),
        }
    }

    fn begin(&self, settled: &Settled) {
        if settled.failed.is_some() {
            self.unwritten().entry(settled.key).or_default().told.push(settled.told);
        }
    }

    fn end(&self, settled: &Settled) {
        if settled.failed.is_none() {
            return;
        }
        let mut unwritten = self.unwritten();
        let Some(of_key) = unwritten.get_mut(&settled.key) else { return };
        if let Some(place) = of_key.told.iter().position(|told| *told == settled.told) {
            of_key.told.swap_remove(place);
        }
        if of_key.told.is_empty() {
            unwritten.remove(&settled.key);
        }
    }

    fn is_late(&self, settled: &Settled) {
        if let Some(of_key) = self.unwritten().get_mut(&settled.key) {
            of_key.is_late |= settled.failed.is_some();
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, HashMap<ThrottleKey, Unwritten>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
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
        for (settled, is_written) in batch.into_iter().zip(written) {
            if *is_written {
                self.settling.end(&settled);
            } else {
                self.settling.is_late(&settled);
                self.late.push_back(settled);
            }
        }
        while self.late.len() > WAITING_MAX
            && let Some(oldest) = self.late.pop_front()
        {
            self.settling.end(&oldest);
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
                self.settling.end(settled);
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

    fn failure(number: u8, second: u64) -> Settled {
        let failed = Some(Reservation { id: [number; 8], at: 0 });
        let told = Duration::from_secs(second);
        Settled { key: key(number), limit: LIMIT, at: AT, told, pending: None, failed }
    }

    fn numbers(batch: &[Settled]) -> Vec<u64> {
        batch.iter().map(|settled| settled.told.as_secs()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_written_holds_up_nothing_that_can() {
        let (settling, now) = (Settling::new(), Duration::from_secs(100));
        let mut waiting = settling.waiting().await;
        settling.add(failure(1, 1));
        assert_eq!(settling.written_until(&key(1), now), Some(Duration::from_secs(1)));
        let batch = waiting.next(|| AT).await.expect("one waits");
        waiting.tried(batch, &[false]);
        assert_eq!(settling.written_until(&key(1), now), None);
        for second in 2..10 {
            settling.add(failure(2, second));
            let batch = waiting.next(|| AT).await.expect("one waits");
            assert_eq!(numbers(&batch), [second]);
            waiting.tried(batch, &[true]);
            assert_eq!(settling.written_until(&key(2), now), Some(now));
        }
        let asked = Instant::now();
        let batch = waiting.next(|| AT).await.expect("the late one is tried again");
        assert_eq!((numbers(&batch), asked.elapsed()), (vec![1], AGAIN_AFTER));
        waiting.tried(batch, &[true]);
        assert_eq!(settling.written_until(&key(1), now), Some(now));
    }

    #[tokio::test(start_paused = true)]
    async fn each_that_is_late_is_tried_once_in_a_turn_and_dropped_in_the_end() {
        let settling = Settling::new();
        let mut waiting = settling.waiting().await;
        for second in 0..100 {
            settling.add(failure(1, second));
        }
        for seen in [BATCH_MAX, 100 - BATCH_MAX] {
            let batch = waiting.next(|| AT).await.expect("some wait");
            assert_eq!(batch.len(), seen);
            waiting.tried(batch, &[false; BATCH_MAX]);
        }
        let mut seen = Vec::new();
        while seen.len() < 100 {
            let batch = waiting.next(|| AT).await.expect("some are late");
            seen.extend(numbers(&batch));
            waiting.tried(batch, &[false; BATCH_MAX]);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        let later = AT.after(HELD_MAX);
        drop(tokio::time::timeout(Duration::from_mins(1), waiting.next(|| later)).await);
        assert!(waiting.late.is_empty() && settling.unwritten().is_empty());
    }

    #[tokio::test]
    async fn what_has_no_room_is_not_waited_for() {
        let settling = Settling::new();
        for second in 0..=WAITING_MAX as u64 {
            settling.add(failure(1, second));
        }
        settling.add(failure(2, 0));
        assert_eq!(settling.unwritten()[&key(1)].told.len(), WAITING_MAX);
        assert!(!settling.unwritten().contains_key(&key(2)));
    }
}
