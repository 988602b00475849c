//! How long to wait before the next attempt: exponential backoff with full jitter.
//!
//! Clients that lost the same server at the same moment would come back at the same moment, again
//! and again. With full jitter each waits a random part of a growing span, so that what returns is
//! met by an even stream instead of a crowd. Full jitter needs the least work of all variants that
//! keep a fixed ceiling (Brooker, "Exponential Backoff And Jitter", 2015).

use std::time::Duration;

/// The ceilings of the waits: `base`, twice that, four times that, and never more than `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling of the first wait.
    pub base: Duration,
    /// No wait is longer.
    pub max: Duration,
}

impl Backoff {
    /// The longest wait before attempt `attempt` is repeated; the first attempt is 0.
    #[must_use]
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doubled = 1_u32.checked_shl(attempt).and_then(|factor| self.base.checked_mul(factor));
        doubled.map_or(self.max, |ceiling| ceiling.min(self.max))
    }

    /// The wait before attempt `attempt` is repeated: from nothing up to, but not including, the
    /// ceiling, as `random` falls. Nothing if the ceiling is nothing.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        let ceiling = u64::try_from(self.ceiling(attempt).as_nanos()).unwrap_or(u64::MAX);
        // The upper half of the product is `random` scaled to 0..ceiling without a division's bias.
        let nanos = (u128::from(random) * u128::from(ceiling)) >> u64::BITS;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(ceiling))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { base: Duration::from_millis(100), max: Duration::from_secs(5) };

    #[test]
    fn ceilings_double_up_to_the_highest() {
        for (attempt, millis) in
            [(0, 100), (1, 200), (2, 400), (5, 3200), (6, 5000), (31, 5000), (32, 5000)]
        {
            assert_eq!(BACKOFF.ceiling(attempt), Duration::from_millis(millis), "{attempt}");
        }
        assert_eq!(BACKOFF.ceiling(u32::MAX), BACKOFF.max);
    }

    #[test]
    fn delays_spread_evenly_below_the_ceiling() {
        for (random, millis) in [(0, 0), (u64::MAX / 4 + 1, 50), (u64::MAX / 2 + 1, 100)] {
            assert_eq!(BACKOFF.delay(1, random), Duration::from_millis(millis), "{random}");
        }
        assert!(BACKOFF.delay(1, u64::MAX) < Duration::from_millis(200));
        assert!(BACKOFF.delay(1, u64::MAX) > Duration::from_millis(199));
    }

    #[test]
    fn extremes_neither_panic_nor_wait_for_ever() {
        let never = Backoff { base: Duration::MAX, max: Duration::MAX };
        assert!(never.delay(u32::MAX, u64::MAX) < Duration::MAX);
        let at_once = Backoff { base: Duration::ZERO, max: Duration::from_secs(1) };
        assert_eq!(at_once.delay(3, u64::MAX), Duration::ZERO);
        let capped = Backoff { base: Duration::from_secs(9), max: Duration::from_secs(1) };
        assert_eq!(capped.ceiling(0), Duration::from_secs(1));
    }
}
