//! Throttling: sliding windows over failures, as a state machine without I/O.
//!
//! A try is reserved before it is evaluated and given back on success, so that a burst of
//! concurrent tries cannot slip through between count and result. "N per span" means at most N
//! evaluations that failed, or may yet fail, in *any* such span: fixed windows would let 2 N
//! through around their edge.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::ops::Bound;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::store::BoxFuture;
use crate::{Deadline, Timestamp, UserId};

/// At most `count` in any `span`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub count: u32,
    /// In which time.
    pub span: Duration,
}

/// Why a limit could not be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a limit reads N/s, N/m or N/h with N from 1 to {}", Limit::COUNT_MAX)]
pub struct LimitError;

impl Limit {
    /// The highest count: each takes memory.
    pub const COUNT_MAX: u32 = 10_000;
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let (count, unit) = text.trim().split_once('/').ok_or(LimitError)?;
        let count: u32 = count.trim().parse().map_err(|_| LimitError)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(LimitError),
        };
        if !(1..=Self::COUNT_MAX).contains(&count) {
            return Err(LimitError);
        }
        Ok(Self { count, span: Duration::from_secs(seconds) })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.span.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// The part of an address that one attacker is taken to hold: IPv4 /32, IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressPrefix([u8; 8]);

impl AddressPrefix {
    /// The prefix of an address; IPv4 inside IPv6 counts as IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let mut prefix = [0; 8];
        match address.to_canonical() {
            // 0100::/64 is the discard prefix (RFC 6666): no client has it, so no v6 prefix
            // collides with an IPv4 address.
            IpAddr::V4(v4) => {
                prefix[0] = 1;
                prefix[4..].copy_from_slice(&v4.octets());
            }
            IpAddr::V6(v6) => prefix.copy_from_slice(&v6.octets()[..8]),
        }
        Self(prefix)
    }

    /// For storing.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// What a counter counts. The numbers are stored and never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ThrottleScope {
    /// Failed logins of an account from an address prefix.
    Login = 1,
    /// Failed logins from an address prefix.
    Address = 2,
    /// Failed logins of an account from unknown devices, over all addresses.
    Account = 3,
    /// Registrations from an address prefix.
    Register = 4,
    /// Failed logins of an account from a browser that it has logged in from.
    Device = 5,
}

impl ThrottleScope {
    /// From the stored number.
    #[must_use]
    pub const fn from_code(code: i16) -> Option<Self> {
        match code {
            1 => Some(Self::Login),
            2 => Some(Self::Address),
            3 => Some(Self::Account),
            4 => Some(Self::Register),
            5 => Some(Self::Device),
            _ => None,
        }
    }
}

/// One counter. Holds a digest: neither memory nor record keep a list of who tried what from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThrottleKey {
    /// What it counts.
    pub scope: ThrottleScope,
    /// Whom it counts.
    pub digest: [u8; 16],
}

impl ThrottleKey {
    /// From a stored row.
    #[must_use]
    pub const fn new(scope: ThrottleScope, digest: [u8; 16]) -> Self {
        Self { scope, digest }
    }

    pub(crate) fn login(account: &Account, prefix: AddressPrefix) -> Self {
        Self::of(ThrottleScope::Login, &[&account.0, prefix.as_bytes()])
    }

    pub(crate) fn address(prefix: AddressPrefix) -> Self {
        Self::of(ThrottleScope::Address, &[prefix.as_bytes()])
    }

    pub(crate) fn account(account: &Account) -> Self {
        Self::of(ThrottleScope::Account, &[&account.0])
    }

    pub(crate) fn register(prefix: AddressPrefix) -> Self {
        Self::of(ThrottleScope::Register, &[prefix.as_bytes()])
    }

    pub(crate) fn device(account: &Account, device: &[u8]) -> Self {
        Self::of(ThrottleScope::Device, &[&account.0, device])
    }

    fn of(scope: ThrottleScope, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let full = hash.finalize();
        let mut digest = [0; 16];
        digest.copy_from_slice(&full[..16]);
        Self { scope, digest }
    }
}

/// Whom a login counts for: the user if there is one, else the folded name that nobody has.
pub(crate) struct Account(Vec<u8>);

impl Account {
    pub(crate) fn user(id: UserId) -> Self {
        Self([b"u".as_slice(), id.as_uuid().as_bytes()].concat())
    }

    pub(crate) fn nobody(folded: &str) -> Self {
        Self([b"n".as_slice(), folded.as_bytes()].concat())
    }
}

/// A failure, as the record keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which counter.
    pub key: ThrottleKey,
    /// When, in record time.
    pub at: Timestamp,
}

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

/// Sliding windows of many keys, bounded in number. Times are points of a clock that never steps.
#[derive(Debug)]
pub struct SlidingWindows {
    windows: BTreeMap<ThrottleKey, Window>,
    keys_max: usize,
    next_eviction: Option<ThrottleKey>,
}

#[derive(Debug, Default)]
struct Window {
    /// When tries failed, oldest first; never more than the limit needs.
    failures: VecDeque<Timestamp>,
    /// Tries that are being evaluated.
    pending: u32,
    /// From when on nothing here counts.
    idle_at: Option<Timestamp>,
}

impl SlidingWindows {
    /// Room for `keys_max` counters.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        Self { windows: BTreeMap::new(), keys_max: keys_max.max(1), next_eviction: None }
    }

    /// Reserves a try in every window, or in none.
    pub fn reserve(&mut self, wants: &[(ThrottleKey, Limit)], now: Timestamp) -> Decision {
        let mut decision = Decision::Reserved;
        for (key, limit) in wants {
            let Some(window) = self.windows.get_mut(key) else { continue };
            window.forget(now, limit.span);
            let failed = u32::try_from(window.failures.len()).unwrap_or(u32::MAX);
            if failed >= limit.count {
                let free_at =
                    window.failures[window.failures.len() - limit.count as usize].after(limit.span);
                return Decision::Throttled {
                    scope: key.scope,
                    limit: *limit,
                    retry_after: free_at.since(now).max(Duration::from_micros(1)),
                };
            }
            if failed + window.pending >= limit.count && decision == Decision::Reserved {
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
        }
    }

    /// Settles a reserved try: it succeeded or was never evaluated, and does not count.
    pub fn give_back(&mut self, wants: &[(ThrottleKey, Limit)]) {
        for (key, _) in wants {
            if let Some(window) = self.windows.get_mut(key) {
                window.pending = window.pending.saturating_sub(1);
                if window.pending == 0 && window.failures.is_empty() {
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
        while self.failures.front().is_some_and(|at| at.after(span) <= now) {
            self.failures.pop_front();
        }
    }

    fn count(&mut self, at: Timestamp, limit: Limit) {
        let place = self.failures.partition_point(|earlier| *earlier <= at);
        self.failures.insert(place, at);
        while self.failures.len() > limit.count as usize {
            self.failures.pop_front();
        }
        let idle_at = self.failures.back().map(|last| last.after(limit.span));
        self.idle_at = self.idle_at.max(idle_at);
    }
}

/// Why a try was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many have failed.
    Throttled {
        /// The limit that is used up.
        limit: Limit,
        /// When there is room again.
        retry_after: Duration,
    },
    /// Those before it would not be done within the deadline.
    Busy,
}

/// A reserved try. Dropping it counts as failed: who hangs up before the answer has still tried.
pub trait Ticket: Send {
    /// It succeeded, or was never evaluated.
    fn give_back(self: Box<Self>);

    /// It failed. The future ends when that is written down, or could not be.
    fn fail(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Counts tries. Every node counts what passes through it, whatever else is reachable.
pub trait Throttle: Send + Sync {
    /// Reserves a try under all of `wants`, waiting for those before it while the deadline lasts.
    fn reserve(
        &self,
        wants: Vec<(ThrottleKey, Limit)>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Box<dyn Ticket>, Refused>>;
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
            assert_eq!(windows.reserve(&wants, at(0)), Decision::Reserved);
        }
        assert_eq!(windows.reserve(&wants, at(0)), Decision::Wait(key(1)));
        windows.give_back(&wants);
        assert_eq!(windows.reserve(&wants, at(0)), Decision::Reserved);
        for _ in 0..3 {
            windows.fail(&wants, at(1));
        }
        let Decision::Throttled { retry_after, .. } = windows.reserve(&wants, at(11)) else {
            panic!("three have failed");
        };
        assert_eq!(retry_after, Duration::from_secs(50));
        assert_eq!(windows.reserve(&wants, at(61)), Decision::Reserved);
    }

    #[test]
    fn a_refused_try_reserves_nothing_in_the_other_windows() {
        let mut windows = SlidingWindows::new(10);
        for _ in 0..3 {
            windows.load(key(2), LIMIT, at(0), at(0));
        }
        let both = [(key(1), LIMIT), (key(2), LIMIT)];
        assert!(matches!(windows.reserve(&both, at(1)), Decision::Throttled { .. }));
        for _ in 0..3 {
            assert_eq!(windows.reserve(&both[..1], at(1)), Decision::Reserved);
        }
    }

    #[test]
    fn the_table_is_bounded_and_keeps_what_is_being_evaluated() {
        let mut windows = SlidingWindows::new(4);
        assert_eq!(windows.reserve(&[(key(0), LIMIT)], at(0)), Decision::Reserved);
        for n in 1..50 {
            assert_eq!(windows.reserve(&[(key(n), LIMIT)], at(0)), Decision::Reserved);
            windows.fail(&[(key(n), LIMIT)], at(0));
        }
        assert!(windows.len() <= 4);
        assert_eq!(windows.windows[&key(0)].pending, 1);
    }

    #[test]
    fn limits_are_read_and_written() {
        let limit: Limit = " 30/h ".parse().expect("a limit");
        assert_eq!((limit.count, limit.span.as_secs()), (30, 3600));
        assert_eq!(limit.to_string(), "30/h");
        for bad in ["", "5", "0/m", "5/d", "-1/m", "10001/s", "5/m/s"] {
            assert_eq!(bad.parse::<Limit>(), Err(LimitError), "{bad}");
        }
    }

    #[test]
    fn ipv4_inside_ipv6_is_the_same_prefix() {
        let plain: IpAddr = "192.0.2.1".parse().expect("an address");
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().expect("an address");
        assert_eq!(AddressPrefix::of(plain), AddressPrefix::of(mapped));
        let one: IpAddr = "2001:db8::1".parse().expect("an address");
        let same: IpAddr = "2001:db8::ffff:1".parse().expect("an address");
        let next: IpAddr = "2001:db8:0:1::1".parse().expect("an address");
        assert_eq!(AddressPrefix::of(one), AddressPrefix::of(same));
        assert_ne!(AddressPrefix::of(one), AddressPrefix::of(next));
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
                if windows.reserve(&wants, at(now)) == Decision::Reserved {
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
