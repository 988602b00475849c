//! What became of tries, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use nightlatch_core::Refused;

/// Counters of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    admitted: AtomicU64,
    throttled: AtomicU64,
    busy: AtomicU64,
}

/// How many tries ended how, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThrottleTallies {
    /// Let through.
    pub admitted: u64,
    /// Refused, since too many have failed.
    pub throttled: u64,
    /// Refused, since those before them would not be done in time.
    pub busy: u64,
}

impl Tally {
    pub(super) fn count(&self, entered: Result<(), &Refused>) {
        let counter = match entered {
            Ok(()) => &self.admitted,
            Err(Refused::Throttled { .. }) => &self.throttled,
            Err(Refused::Busy) => &self.busy,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> ThrottleTallies {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ThrottleTallies {
            admitted: load(&self.admitted),
            throttled: load(&self.throttled),
            busy: load(&self.busy),
        }
    }
}
