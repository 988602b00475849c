//! Sliding windows over failures, as a state machine without I/O.
//!
//! "N per span" means at most N evaluations that failed, or may yet fail, in *any* such span: fixed
//! windows would let 2 N through around their edge. Where several nodes share a limit, each has its
//! share of it, and all of it together with what others counted.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use super::{Limit, ThrottleKey, ThrottleScope};
use crate::Timestamp;

/// What the windows say to a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on; settle it later.
    Reserved,
    /// As many tries as this counter has left are being evaluated: wait for one of them.
    Wait(ThrottleKey),
    /// Too many have failed.
    Throttled {
        /// The counter that is full.
        scope: ThrottleScope,
        /// Its limit.
        limit: Limit,
        /// When it has room again.
        retry_after: Duration,
    },
}

/// How much of a limit this node may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowance {
    /// Its share: it counts by itself.
    Share,
    /// All of it: the nodes count together, elsewhere.
    Whole,
}

/// Sliding windows of many keys, bounded in number. Times are points of a clock that never steps.
#[derive(Debug)]
pub struct SlidingWindows {
    windows: BTreeMap<ThrottleKey, Window>,
    keys_max: usize,
    next_eviction: Option<ThrottleKey>,
    /// How many share each limit.
    nodes: u32,
}

#[derive(Debug, Default)]
struct Window {
    /// When tries failed, on whichever node, oldest first; never more than the limit needs.
    failures: VecDeque<Timestamp>,
    /// Those of them that this node let through.
    own: VecDeque<Timestamp>,
    /// Tries that are being evaluated.
    pending: u32,
    /// Until when all nodes together have used it up, as they told where they count together.
    refused_until: Option<Timestamp>,
    /// From when on nothing here counts.
    idle_at: Option<Timestamp>,
}

impl SlidingWindows {
    /// Room for `keys_max` counters.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        Self { windows: BTreeMap::new(), keys_max: keys_max.max(1), next_eviction: None, nodes: 1 }
    }

    /// From now on so many nodes share each limit.
    pub fn share_among(&mut self, nodes: u32) {
        self.nodes = nodes;
    }

    /// How many nodes share each limit.
    #[must_use]
    pub const fn nodes(&self) -> u32 {
        self.nodes
    }

    /// Reserves a try in every window, or in none. Of each `allowance` says how much may be used.
    pub fn reserve(
        &mut self,
        wants: &[(ThrottleKey, Limit)],
        allowance: impl Fn(&ThrottleKey) -> Allowance,
        now: Timestamp,
    ) -> Decision {
        let mut decision = Decision::Reserved;
        for (key, limit) in wants {
            let Some(window) = self.windows.get_mut(key) else { continue };
            window.forget(now, limit.span);
            let share = match allowance(key) {
                Allowance::Share => limit.share(self.nodes),
                Allowance::Whole => limit.count,
            };
            if let Some(free_at) = window.free_at(*limit, share).max(window.refused_until) {
                return Decision::Throttled {
                    scope: key.scope,
                    limit: *limit,
                    retry_after: free_at.since(now).max(Duration::from_micros(1)),
                };
            }
            if window.is_taken(limit.count, share) && decision == Decision::Reserved {
                decision = Decision::Wait(*key);
            }
        }
        if decision == Decision::Reserved {
            for (key, _) in wants {
                // A counter that is held already needs no room, and must not be the one that goes.
                if !self.windows.contains_key(key) {
                    self.make_room(now);
                }
                self.windows.entry(*key).or_default().pending += 1;
            }
        }
        decision
    }

    /// Settles a reserved try: it failed, and counts.
    pub fn fail(&mut self, wants: &[(ThrottleKey, Limit)], now: Timestamp) {
        for (key, limit) in wants {
            let window = self.windows.entry(*key).or_default();
            window.pending = window.pending.saturating_sub(1);
            window.count(now, *limit);
            insert(&mut window.own, now, limit.count);
        }
    }

    /// Settles a reserved try: it succeeded or was never evaluated, and does not count.
    pub fn give_back(&mut self, wants: &[(ThrottleKey, Limit)]) {
        for (key, _) in wants {
            if let Some(window) = self.windows.get_mut(key) {
                window.pending = window.pending.saturating_sub(1);
                if window.is_empty() {
                    self.windows.remove(key);
                }
            }
        }
    }

    /// Counts a failure from before this start, or of another node.
    pub fn load(&mut self, key: ThrottleKey, limit: Limit, at: Timestamp, now: Timestamp) {
        if at.after(limit.span) > now {
            if !self.windows.contains_key(&key) {
                self.make_room(now);
            }
            self.windows.entry(key).or_default().count(at.min(now), limit);
        }
    }

    /// All nodes together have used a limit up until then: a node that has been told so refuses, too,
    /// when they cannot be asked any more.
    pub fn refuse_until(&mut self, key: ThrottleKey, until: Timestamp, now: Timestamp) {
        if !self.windows.contains_key(&key) {
            self.make_room(now);
        }
        let window = self.windows.entry(key).or_default();
        window.refused_until = window.refused_until.max(Some(until));
        window.idle_at = window.idle_at.max(Some(until));
    }

    /// How many failures of a counter are known up to a time, as far as they count.
    #[must_use]
    pub fn failed(
        &self,
        key: ThrottleKey,
        limit: Limit,
        (to, now): (Timestamp, Timestamp),
    ) -> usize {
        let Some(window) = self.windows.get(&key) else { return 0 };
        let counts = |at: &&Timestamp| **at <= to && at.after(limit.span) > now;
        window.failures.iter().filter(counts).count()
    }

    /// How many counters are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Removes what counts no longer; when that is not enough, counters in turn. An attacker who
    /// fills the table pays a failed login for each place in it, and each is limited by his prefix.
    /// A sixteenth is freed at once, so that looking through the table is rare.
    fn make_room(&mut self, now: Timestamp) {
        if self.windows.len() < self.keys_max {
            return;
        }
        self.windows
            .retain(|_, window| window.pending > 0 || window.idle_at.is_some_and(|at| at > now));
        let kept_max = self.keys_max - self.keys_max.div_ceil(16);
        let surplus = self.windows.len().saturating_sub(kept_max);
        let from = self.next_eviction.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.windows.range((from, Bound::Unbounded));
        let victims: Vec<ThrottleKey> = behind
            .chain(&self.windows)
            .filter(|(_, window)| window.pending == 0)
            .map(|(key, _)| *key)
            .take(surplus)
            .collect();
        for key in &victims {
            self.windows.remove(key);
        }
        self.next_eviction = victims.last().copied();
    }
}

impl Window {
    fn forget(&mut self, now: Timestamp, span: Duration) {
        for times in [&mut self.failures, &mut self.own] {
            while times.front().is_some_and(|at| at.after(span) <= now) {
                times.pop_front();
            }
        }
        self.refused_until.take_if(|until| *until <= now);
    }

    /// Whether there is nothing to be remembered.
    fn is_empty(&self) -> bool {
        self.pending == 0 && self.failures.is_empty() && self.refused_until.is_none()
    }

    /// When it has room again, if all of its limit or this node's share has failed.
    fn free_at(&self, limit: Limit, share: u32) -> Option<Timestamp> {
        let newest = |times: &VecDeque<Timestamp>, count: u32| {
            times.len().checked_sub(count as usize).and_then(|first| times.get(first).copied())
        };
        let first = newest(&self.failures, limit.count).max(newest(&self.own, share))?;
        Some(first.after(limit.span))
    }

    /// Whether those that are being evaluated may yet fill it.
    fn is_taken(&self, count: u32, share: u32) -> bool {
        let pending = self.pending as usize;
        self.failures.len() + pending >= count as usize
            || self.own.len() + pending >= share as usize
    }

    fn count(&mut self, at: Timestamp, limit: Limit) {
        insert(&mut self.failures, at, limit.count);
        let idle_at = self.failures.back().map(|last| last.after(limit.span));
        self.idle_at = self.idle_at.max(idle_at);
    }
}

/// Keeps `times` in order, and the newest `count` of them.
fn insert(times: &mut VecDeque<Timestamp>, at: Timestamp, count: u32) {
    let place = times.partition_point(|earlier| *earlier <= at);
    times.insert(place, at);
    while times.len() > count as usize {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: Limit = Limit { count: 3, span: Duration::from_mins(1) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn key(n: u8) -> ThrottleKey {
        ThrottleKey::new(ThrottleScope::Login, [n; 16])
    }

    #[test]
    fn pending_tries_count_until_they_are_settled() {
        let mut windows = SlidingWindows::new(10);
        let wants = [(key(1), LIMIT)];
        for _ in 0..3 {
            assert_eq!(windows.reserve(&wants, |_| Allowance::Share, at(0)), Decision::Reserved);
        }
        assert_eq!(windows.reserve(&wants, |_| Allowance::Share, at(0)), Decision::Wait(key(1)));
        windows.give_back(&wants);
        assert_eq!(windows.reserve(&wants, |_| Allowance::Share, at(0)), Decision::Reserved);
        for _ in 0..3 {
            windows.fail(&wants, at(1));
        }
        let Decision::Throttled { retry_after, .. } =
            windows.reserve(&wants, |_| Allowance::Share, at(11))
        else {
            panic!("three have failed");
        };
        assert_eq!(retry_after, Duration::from_secs(50));
        assert_eq!(windows.reserve(&wants, |_| Allowance::Share, at(61)), Decision::Reserved);
    }

    #[test]
    fn a_node_lets_its_share_through_and_all_together_the_limit() {
        let limit = Limit { count: 5, ..LIMIT };
        let wants = [(key(1), limit)];
        let mut windows = SlidingWindows::new(10);
        windows.share_among(2);
        for _ in 0..3 {
            assert_eq!(windows.reserve(&wants, |_| Allowance::Share, at(0)), Decision::Reserved);
        }
        assert_eq!(windows.reserve(&wants, |_| Allowance::Share, at(0)), Decision::Wait(key(1)));
        for second in 0..3 {
            windows.fail(&wants, at(second));
        }
        let Decision::Throttled { retry_after, .. } =
            windows.reserve(&wants, |_| Allowance::Share, at(3))
        else {
            panic!("the share has failed");
        };
        assert_eq!(retry_after, Duration::from_secs(57));
        // Where they count together, no share is set apart.
        assert_eq!(windows.reserve(&wants, |_| Allowance::Whole, at(3)), Decision::Reserved);
        windows.give_back(&wants);
        // The other node has gone: its share is ours at once.
        windows.share_among(1);
        assert_eq!(windows.reserve(&wants, |_| Allowance::Share, at(3)), Decision::Reserved);
        windows.give_back(&wants);
        // What others counted leaves no room, whosever share it was.
        for _ in 0..2 {
            windows.load(key(1), limit, at(3), at(3));
        }
        assert!(matches!(
            windows.reserve(&wants, |_| Allowance::Share, at(3)),
            Decision::Throttled { .. }
        ));
        assert_eq!(windows.reserve(&wants, |_| Allowance::Share, at(60)), Decision::Reserved);
    }

    #[test]
    fn what_all_nodes_together_have_used_up_is_refused_by_each() {
        let (wants, mut windows) = ([(key(1), LIMIT)], SlidingWindows::new(10));
        windows.refuse_until(key(1), at(30), at(10));
        for allowance in [Allowance::Whole, Allowance::Share] {
            let Decision::Throttled { retry_after, .. } =
                windows.reserve(&wants, |_| allowance, at(20))
            else {
                panic!("the others have used it up");
            };
            assert_eq!(retry_after, Duration::from_secs(10));
        }
        assert_eq!(windows.reserve(&wants, |_| Allowance::Share, at(30)), Decision::Reserved);
        windows.give_back(&wants);
        assert!(windows.is_empty());
    }

    #[test]
    fn a_refused_try_reserves_nothing_in_the_other_windows() {
        let mut windows = SlidingWindows::new(10);
        for _ in 0..3 {
            windows.load(key(2), LIMIT, at(0), at(0));
        }
        let both = [(key(1), LIMIT), (key(2), LIMIT)];
        assert!(matches!(
            windows.reserve(&both, |_| Allowance::Share, at(1)),
            Decision::Throttled { .. }
        ));
        for _ in 0..3 {
            assert_eq!(
                windows.reserve(&both[..1], |_| Allowance::Share, at(1)),
                Decision::Reserved
            );
        }
    }

    #[test]
    fn the_table_is_bounded_and_keeps_what_is_being_evaluated() {
        let mut windows = SlidingWindows::new(4);
        assert_eq!(
            windows.reserve(&[(key(0), LIMIT)], |_| Allowance::Share, at(0)),
            Decision::Reserved
        );
        for n in 1..50 {
            assert_eq!(
                windows.reserve(&[(key(n), LIMIT)], |_| Allowance::Share, at(0)),
                Decision::Reserved
            );
            windows.fail(&[(key(n), LIMIT)], at(0));
        }
        assert!(windows.len() <= 4);
        assert_eq!(windows.windows[&key(0)].pending, 1);
    }

    proptest! {
        /// The promise itself: whatever comes when, no span of the limit's length sees more than
        /// N failures.
        #[test]
        fn no_span_sees_more_failures_than_the_limit(gaps in prop::collection::vec(0_i64..40, 1..80)) {
            let mut windows = SlidingWindows::new(10);
            let wants = [(key(1), LIMIT)];
            let mut now = 0;
            let mut failed: Vec<i64> = Vec::new();
            for gap in gaps {
                now += gap;
                if windows.reserve(&wants, |_| Allowance::Share, at(now)) == Decision::Reserved {
                    windows.fail(&wants, at(now));
                    failed.push(now);
                }
            }
            for start in &failed {
                let seen = failed.iter().filter(|t| (*start..*start + 60).contains(*t)).count();
                prop_assert!(seen <= 3);
            }
        }
    }
}
