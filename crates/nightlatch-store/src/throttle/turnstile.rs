//! Who waits for whom: sliding windows with a queue before each counter that is full.
//!
//! Tries that cannot be reserved yet stand in the queue of the counter that holds them up, in the
//! order of their arrival. Settling a try asks only the queues of its own counters, and each only
//! until its first one must stay: a thousand who wait cost the next one nothing. A state machine
//! without I/O: turns come out as values.

use std::collections::BTreeMap;

use nightlatch_core::{
    Allowance, Decision, Limit, Refused, SlidingWindows, ThrottleKey, Timestamp,
};

/// The counters under which a try is reserved.
pub(super) type Wants = Vec<(ThrottleKey, Limit)>;

/// Those of them of which all may be used, since all nodes count them together: of the others this
/// node's share.
pub(super) type Whole = Vec<ThrottleKey>;

/// The most that wait. More are told to come again: they would wait beyond their deadline.
const WAITING_MAX: usize = 10_000;

/// What the turnstile says to one who arrives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Reserved(Wants),
    Refused(Refused),
    /// In a queue, under this number.
    Waiting(u64),
}

/// What one who waited is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn<W> {
    Reserved(W, Wants),
    Refused(W, Refused),
}

struct Waiter<W> {
    wants: Wants,
    whole: Whole,
    handle: W,
}

impl<W> Waiter<W> {
    /// The queue before a counter that is full for this one.
    fn queue_before(&self, full: ThrottleKey) -> Queue {
        (full, allowance(&self.whole, &full))
    }
}

fn allowance(whole: &[ThrottleKey], key: &ThrottleKey) -> Allowance {
    if whole.contains(key) { Allowance::Whole } else { Allowance::Share }
}

/// Before which counter, and with how much of its limit to be had.
type Queue = (ThrottleKey, Allowance);

/// Windows and queues.
pub(super) struct Turnstile<W> {
    windows: SlidingWindows,
    /// Of each full counter those whom it holds up, by number. Who may use all of a limit does not
    /// wait for those who may use a share.
    queues: BTreeMap<Queue, BTreeMap<u64, Waiter<W>>>,
    /// In which queue each number stands.
    places: BTreeMap<u64, Queue>,
    next_number: u64,
}

impl<W> Turnstile<W> {
    pub(super) fn new(keys_max: usize) -> Self {
        Self {
            windows: SlidingWindows::new(keys_max),
            queues: BTreeMap::new(),
            places: BTreeMap::new(),
            next_number: 0,
        }
    }

    /// Somebody arrives. Those before go first, should time alone have made room for them.
    pub(super) fn enter(
        &mut self,
        wants: Wants,
        (whole, handle): (Whole, W),
        now: Timestamp,
    ) -> (Entry, Vec<Turn<W>>) {
        let turns = self.turns_of(&wants, now);
        let decision = self.windows.reserve(&wants, |key| allowance(&whole, key), now);
        let entry = match decision {
            Decision::Reserved => Entry::Reserved(wants),
            Decision::Throttled { scope, limit, retry_after } => {
                Entry::Refused(Refused::Throttled { scope, limit, retry_after })
            }
            Decision::Wait(_) if self.places.len() >= WAITING_MAX => Entry::Refused(Refused::Busy),
            Decision::Wait(full) => {
                self.next_number += 1;
                let waiter = Waiter { wants, whole, handle };
                self.queue(waiter.queue_before(full), self.next_number, waiter);
                Entry::Waiting(self.next_number)
            }
        };
        (entry, turns)
    }

    /// One who waits has gone; nothing if the turn had come.
    pub(super) fn leave(&mut self, number: u64) {
        if let Some(full) = self.places.get(&number).copied() {
            self.take(full, number);
        }
    }

    /// A reserved try has failed, and counts. Whose turn it is.
    pub(super) fn fail(&mut self, wants: &Wants, now: Timestamp) -> Vec<Turn<W>> {
        self.windows.fail(wants, now);
        self.turns_of(wants, now)
    }

    /// A reserved try does not count. Whose turn it is.
    pub(super) fn give_back(&mut self, wants: &Wants, now: Timestamp) -> Vec<Turn<W>> {
        self.windows.give_back(wants);
        self.turns_of(wants, now)
    }

    /// From now on so many nodes share each limit.
    pub(super) fn share_among(&mut self, nodes: u32) {
        self.windows.share_among(nodes);
    }

    /// How many nodes share each limit.
    pub(super) fn nodes(&self) -> u32 {
        self.windows.nodes()
    }

    /// Counts a failure that was kept, or another node's.
    pub(super) fn load(&mut self, key: ThrottleKey, limit: Limit, at: Timestamp, now: Timestamp) {
        self.windows.load(key, limit, at, now);
    }

    /// How many failures of a counter are known up to a time, as far as they count.
    pub(super) fn failed(
        &self,
        key: ThrottleKey,
        limit: Limit,
        times: (Timestamp, Timestamp),
    ) -> usize {
        self.windows.failed(key, limit, times)
    }

    /// All nodes together have used a limit up until then.
    pub(super) fn refuse_until(&mut self, key: ThrottleKey, until: Timestamp, now: Timestamp) {
        self.windows.refuse_until(key, until, now);
    }

    fn turns_of(&mut self, wants: &Wants, now: Timestamp) -> Vec<Turn<W>> {
        let mut turns = Vec::new();
        let queues = wants.iter().flat_map(|(key, _)| {
            [Allowance::Whole, Allowance::Share].map(|allowance| (*key, allowance))
        });
        for queue in queues {
            // Bounded by the queue: each round takes one out, or ends.
            while let Some(number) = self.first_of(queue) {
                let Some(waiter) = self.take(queue, number) else { break };
                let may_use = |key: &ThrottleKey| allowance(&waiter.whole, key);
                match self.windows.reserve(&waiter.wants, may_use, now) {
                    Decision::Reserved => turns.push(Turn::Reserved(waiter.handle, waiter.wants)),
                    Decision::Throttled { scope, limit, retry_after } => {
                        let refused = Refused::Throttled { scope, limit, retry_after };
                        turns.push(Turn::Refused(waiter.handle, refused));
                    }
                    Decision::Wait(full) => {
                        let next = waiter.queue_before(full);
                        self.queue(next, number, waiter);
                        // Still this one: it holds up all behind, too. Another: it moves there,
                        // and keeps the place in line that its number gives it.
                        if next == queue {
                            break;
                        }
                    }
                }
            }
        }
        turns
    }

    fn first_of(&self, queue: Queue) -> Option<u64> {
        Some(*self.queues.get(&queue)?.first_key_value()?.0)
    }

    fn queue(&mut self, full: Queue, number: u64, waiter: Waiter<W>) {
        self.places.insert(number, full);
        self.queues.entry(full).or_default().insert(number, waiter);
    }

    fn take(&mut self, full: Queue, number: u64) -> Option<Waiter<W>> {
        self.places.remove(&number);
        let queue = self.queues.get_mut(&full)?;
        let waiter = queue.remove(&number);
        if queue.is_empty() {
            self.queues.remove(&full);
        }
        waiter
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nightlatch_core::ThrottleScope;
    use proptest::prelude::*;

    use super::*;

    const SPAN: Duration = Duration::from_mins(1);

    fn want(key: u8, count: u32) -> (ThrottleKey, Limit) {
        (ThrottleKey::new(ThrottleScope::Login, [key; 16]), Limit { count, span: SPAN })
    }

    fn at(seconds: u32) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(u64::from(seconds)))
    }

    #[test]
    fn turns_come_in_the_order_of_arrival() {
        let mut turnstile = Turnstile::new(10);
        let wants = vec![want(1, 1)];
        assert!(matches!(
            turnstile.enter(wants.clone(), (Vec::new(), 0), at(0)).0,
            Entry::Reserved(_)
        ));
        for number in 1..4 {
            let (entry, turns) = turnstile.enter(wants.clone(), (Vec::new(), number), at(0));
            assert_eq!((entry, turns), (Entry::Waiting(u64::from(number)), Vec::new()));
        }
        turnstile.leave(2);
        for expected in [1_u32, 3] {
            let turns = turnstile.give_back(&wants, at(1));
            assert_eq!(turns, [Turn::Reserved(expected, wants.clone())]);
        }
        assert!(turnstile.give_back(&wants, at(1)).is_empty());
        assert!(turnstile.windows.is_empty() && turnstile.places.is_empty());
    }

    #[test]
    fn who_may_use_all_of_a_limit_does_not_wait_for_who_may_use_a_share() {
        let mut turnstile = Turnstile::new(10);
        turnstile.share_among(2);
        let wants = vec![want(1, 4)];
        for number in 0..2 {
            let entry = turnstile.enter(wants.clone(), (Vec::new(), number), at(0)).0;
            assert_eq!(entry, Entry::Reserved(wants.clone()));
        }
        assert_eq!(turnstile.enter(wants.clone(), (Vec::new(), 2), at(0)).0, Entry::Waiting(1));
        for number in 3..5 {
            let entry = turnstile.enter(wants.clone(), (vec![want(1, 4).0], number), at(0)).0;
            assert_eq!(entry, Entry::Reserved(wants.clone()));
        }
        assert_eq!(
            turnstile.enter(wants.clone(), (vec![want(1, 4).0], 5), at(0)).0,
            Entry::Waiting(2)
        );
        assert_eq!(turnstile.give_back(&wants, at(0)), [Turn::Reserved(5, wants.clone())]);
    }

    #[test]
    fn a_failure_that_fills_the_counter_refuses_all_who_wait() {
        let mut turnstile = Turnstile::new(10);
        let wants = vec![want(1, 1)];
        turnstile.enter(wants.clone(), (Vec::new(), 0), at(0));
        turnstile.enter(wants.clone(), (Vec::new(), 1), at(0));
        turnstile.enter(wants.clone(), (Vec::new(), 2), at(0));
        let (key, limit) = wants[0];
        let refused = Refused::Throttled { scope: key.scope, limit, retry_after: SPAN };
        let turns = turnstile.fail(&wants, at(0));
        assert_eq!(turns, [Turn::Refused(1, refused), Turn::Refused(2, refused)]);
    }

    #[test]
    fn who_waits_for_one_account_does_not_hold_up_another_behind_the_same_address() {
        let mut turnstile = Turnstile::new(10);
        let attacked = vec![want(1, 1), want(9, 2)];
        turnstile.enter(attacked.clone(), (Vec::new(), 0), at(0));
        assert_eq!(turnstile.enter(attacked, (Vec::new(), 1), at(0)).0, Entry::Waiting(1));
        let neighbour = vec![want(2, 1), want(9, 2)];
        assert_eq!(
            turnstile.enter(neighbour.clone(), (Vec::new(), 2), at(0)).0,
            Entry::Reserved(neighbour)
        );
    }

    #[test]
    fn time_alone_lets_those_before_go_first() {
        let mut turnstile = Turnstile::new(10);
        let wants = vec![want(1, 2)];
        turnstile.enter(wants.clone(), (Vec::new(), 0), at(0));
        turnstile.fail(&wants, at(0));
        turnstile.enter(wants.clone(), (Vec::new(), 1), at(30));
        assert_eq!(turnstile.enter(wants.clone(), (Vec::new(), 2), at(30)).0, Entry::Waiting(1));
        // The failure of second 0 counts no longer.
        let (entry, turns) = turnstile.enter(wants.clone(), (Vec::new(), 3), at(60));
        assert_eq!(turns, [Turn::Reserved(2, wants)]);
        assert_eq!(entry, Entry::Waiting(2));
    }

    proptest! {
        /// However tries overlap: never more under evaluation than are left, and nobody is
        /// forgotten in a queue.
        #[test]
        fn nobody_is_forgotten_and_no_counter_overflows(
            steps in prop::collection::vec((0..4_u8, 0..3_u8, any::<bool>(), any::<u8>()), 1..200),
        ) {
            let mut turnstile = Turnstile::new(100);
            let mut running: Vec<Wants> = Vec::new();
            let mut waiting = 0_usize;
            for (n, (key, other, fails, pick)) in steps.into_iter().enumerate() {
                let now = at(u32::try_from(n).expect("few steps"));
                let wants = vec![want(key, 2), want(10 + other, 3)];
                let whole = wants.iter().take(usize::from(pick % 3)).map(|(key, _)| *key).collect();
                let (entry, mut turns) = turnstile.enter(wants, (whole, ()), now);
                match entry {
                    Entry::Reserved(wants) => running.push(wants),
                    Entry::Waiting(_) => waiting += 1,
                    Entry::Refused(_) => {}
                }
                if pick % 2 == 0 && !running.is_empty() {
                    let done = running.swap_remove(usize::from(pick) % running.len());
                    turns.extend(if fails {
                        turnstile.fail(&done, now)
                    } else {
                        turnstile.give_back(&done, now)
                    });
                }
                for turn in turns {
                    waiting -= 1;
                    if let Turn::Reserved((), wants) = turn {
                        running.push(wants);
                    }
                }
                for (key, limit) in (0..4).map(|k| want(k, 2)).chain((10..13).map(|k| want(k, 3))) {
                    let held = running.iter().flatten().filter(|(held, _)| *held == key).count();
                    prop_assert!(held <= limit.count as usize);
                }
                prop_assert_eq!(waiting, turnstile.places.len());
            }
            let now = at(1000);
            while let Some(done) = running.pop() {
                for turn in turnstile.give_back(&done, now) {
                    waiting -= 1;
                    if let Turn::Reserved((), wants) = turn {
                        running.push(wants);
                    }
                }
            }
            prop_assert_eq!(waiting, 0);
            prop_assert!(turnstile.places.is_empty() && turnstile.queues.is_empty());
        }
    }
}
