//! What became of tries, counted.

use nightlatch_core::{Counters, Refused, ThrottleScope};

const ADMITTED: usize = 0;
const BUSY: usize = 1;

/// The first of the counters of refused tries.
const THROTTLED: usize = 2;

/// Counters of it.
#[derive(Debug, Default)]
pub(super) struct Tally(Counters<{ THROTTLED + ThrottleScope::ALL.len() }>);

/// How many tries ended how, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleTallies {
    /// Let through.
    pub admitted: u64,
    /// Refused, since those before them would not be done in time.
    pub busy: u64,
    /// Refused, since too many have failed, by what they counted for.
    pub throttled: [(ThrottleScope, u64); ThrottleScope::ALL.len()],
}

impl Tally {
    pub(super) fn count(&self, entered: Result<(), &Refused>) {
        self.0.count(match entered {
            Ok(()) => ADMITTED,
            Err(Refused::Throttled { scope, .. }) => THROTTLED + scope.index(),
            Err(Refused::Busy) => BUSY,
        });
    }

    pub(super) fn read(&self) -> ThrottleTallies {
        let counts = self.0.read();
        ThrottleTallies {
            admitted: counts[ADMITTED],
            busy: counts[BUSY],
            throttled: ThrottleScope::ALL.map(|scope| (scope, counts[THROTTLED + scope.index()])),
        }
    }
}
