//! Time as an argument.
//!
//! The wall clock of one machine decides nothing: it can be stepped by an hour while people are
//! logged in. Expiry is judged in *record time*, the database's clock carried on by a clock that
//! counts suspend.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

/// A point in record time: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Without what is less than a second.
    #[must_use]
    pub const fn whole_seconds(self) -> Self {
        Self::from_seconds(self.as_seconds())
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// From seconds since the Unix epoch, stopping at the end of time instead of wrapping.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// `self + span`, stopping at the end of time instead of wrapping.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// `self - span`, stopping at the beginning of time instead of wrapping.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }

    /// How long `self` is after `earlier`; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// RFC 3339 in UTC with whole seconds, as JSON and logs show it.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.rfc3339().as_str().to_owned()
    }

    /// The same without an allocation.
    #[must_use]
    pub fn rfc3339(self) -> Rfc3339 {
        let mut text = *b"0000-00-00T00:00:00Z";
        // Only years outside 0 to 9999 have no RFC 3339 form; no record holds one.
        if let Ok(at) = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1_000_000))
            && let Ok(year) = u16::try_from(at.year())
        {
            let (hour, minute, second) = at.to_hms();
            put_digits(&mut text[..4], year);
            let rest = [u8::from(at.month()), at.day(), hour, minute, second];
            for (place, value) in text[5..].chunks_mut(3).zip(rest) {
                put_digits(&mut place[..2], value.into());
            }
        }
        Rfc3339(text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rfc3339().as_str())
    }
}

/// A point in time as RFC 3339 shows it, such as `2023-11-14T22:13:20Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339([u8; 20]);

impl Rfc3339 {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits and what stands between them are ASCII")
    }
}

/// Fills `place` with the last digits of `value`.
fn put_digits(place: &mut [u8], mut value: u16) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// The two clocks of a machine.
pub trait Clock: Send + Sync {
    /// The wall clock, which people and NTP may step.
    fn wall(&self) -> Timestamp;

    /// Time since boot, which nobody steps and which counts suspend (`CLOCK_BOOTTIME`).
    fn boottime(&self) -> Duration;
}

/// A point in boot time by which a request must be answered. All calls of a request share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

impl Deadline {
    /// The deadline `span` from now.
    #[must_use]
    pub fn within(clock: &dyn Clock, span: Duration) -> Self {
        Self(clock.boottime().saturating_add(span))
    }

    /// The deadline at a point of boot time.
    #[must_use]
    pub const fn at_boottime(at: Duration) -> Self {
        Self(at)
    }

    /// What is left; zero when it has passed.
    #[must_use]
    pub fn remaining(self, clock: &dyn Clock) -> Duration {
        self.0.saturating_sub(clock.boottime())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn is_over(self, clock: &dyn Clock) -> bool {
        self.remaining(clock).is_zero()
    }

    /// The earlier of this deadline and `span` from now.
    #[must_use]
    pub fn at_most(self, clock: &dyn Clock, span: Duration) -> Self {
        self.min(Self::within(clock, span))
    }
}

/// Record time on this node: an offset to boot time, measured where the record has a clock.
pub struct RecordClock {
    clock: Arc<dyn Clock>,
    offset_micros: AtomicI64,
    is_measured: AtomicBool,
    is_told: AtomicBool,
}

/// A measurement over a longer time is none, unless it is the only one.
const MEASURED_WITHIN: Duration = Duration::from_secs(1);

impl RecordClock {
    /// Starts from the wall clock; a record with a clock of its own corrects it by [`Self::observe`].
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let offset = clock.wall().as_micros() - micros(clock.boottime());
        Self {
            clock,
            offset_micros: AtomicI64::new(offset),
            is_measured: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
        }
    }

    /// Now, in record time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let offset = self.offset_micros.load(Ordering::Relaxed);
        Timestamp(offset.saturating_add(micros(self.clock.boottime())))
    }

    /// Follows the record's clock: it said `record_now` between two boot times, when it was asked
    /// and when it had answered. Half of what lies between is how wrong this can be. `None`: the record
    /// has no other clock than this machine's.
    pub fn observe(&self, record_now: Option<Timestamp>, asked: Duration, answered: Duration) {
        let took = answered.saturating_sub(asked);
        // Over a suspend of the machine, nobody knows when the record read its clock.
        let is_first = !self.is_measured.swap(true, Ordering::Relaxed);
        let is_good = took <= MEASURED_WITHIN;
        if let Some(record_now) = record_now
            && (is_good || is_first)
        {
            let offset = record_now.as_micros() - micros(asked + took / 2);
            self.offset_micros.store(offset, Ordering::Relaxed);
        }
        if is_good || record_now.is_none() {
            self.is_told.store(true, Ordering::Release);
        }
    }

    /// Whether the record has told the time. Before, this machine's clock may be wrong by anything, and
    /// what seems to be over may not be.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.is_told.load(Ordering::Acquire)
    }

    /// How far this machine's wall clock is from record time, either way.
    #[must_use]
    pub fn skew(&self) -> Duration {
        let wall = self.clock.wall();
        let record = self.now();
        wall.since(record).max(record.since(wall))
    }

    /// The machine's clocks beneath.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::AtomicU64;

    use proptest::prelude::*;

    use super::*;

    /// A clock that tests set.
    #[derive(Default)]
    pub(crate) struct ManualClock {
        pub(crate) wall_micros: AtomicI64,
        pub(crate) boot_micros: AtomicU64,
    }

    impl Clock for ManualClock {
        fn wall(&self) -> Timestamp {
            Timestamp(self.wall_micros.load(Ordering::Relaxed))
        }

        fn boottime(&self) -> Duration {
            Duration::from_micros(self.boot_micros.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn record_time_ignores_a_step_of_the_wall_clock() {
        let clock = Arc::new(ManualClock::default());
        clock.wall_micros.store(5_000_000, Ordering::Relaxed);
        let record = RecordClock::new(clock.clone());
        clock.wall_micros.store(3_600_000_000, Ordering::Relaxed);
        clock.boot_micros.store(1_000_000, Ordering::Relaxed);
        assert_eq!(record.now(), Timestamp::from_micros(6_000_000));
        assert_eq!(record.skew(), Duration::from_secs(3594));
    }

    #[test]
    fn record_time_is_not_measured_over_a_suspend() {
        let clock = Arc::new(ManualClock::default());
        let record = RecordClock::new(clock.clone());
        let (second, at) = (Duration::from_secs(1), Timestamp::from_micros);
        // A rough measurement is better than the wall clock.
        record.observe(Some(at(100_000_000)), second, 3 * second);
        assert_eq!(record.now(), at(98_000_000));
        assert!(!record.is_told());
        record.observe(Some(at(100_000_000)), second, second);
        assert_eq!(record.now(), at(99_000_000));
        assert!(record.is_told());
        record.observe(Some(at(100_000_000)), second, 21 * second);
        assert_eq!(record.now(), at(99_000_000));
    }

    #[test]
    fn rfc3339_is_utc_with_whole_seconds() {
        assert_eq!(
            Timestamp::from_micros(1_700_000_000_999_999).to_rfc3339(),
            "2023-11-14T22:13:20Z"
        );
        let nowhere = "0000-00-00T00:00:00Z";
        assert_eq!(Timestamp::from_micros(i64::MAX).to_rfc3339(), nowhere);
        assert_eq!(Timestamp::from_micros(-70_000_000_000_000_000).to_rfc3339(), nowhere);
    }

    proptest! {
        #[test]
        fn rfc3339_is_what_the_library_writes(seconds in -62_167_219_200..253_402_300_800_i64) {
            let library = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let library = library.format(&time::format_description::well_known::Rfc3339).unwrap();
            prop_assert_eq!(Timestamp::from_micros(seconds * 1_000_000).to_rfc3339(), library);
        }
    }
}
