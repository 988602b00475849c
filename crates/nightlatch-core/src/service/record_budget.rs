//! How long a request that hashes a password may wait for the record in all its calls together.
//!
//! Such a request has a long deadline because hashing is slow, not because the record may be.

use std::time::Duration;

use crate::{Clock, Deadline};

/// What the record gets of one request.
const RECORD_MAX: Duration = Duration::from_secs(2);

/// What of that is left to the record while somebody else is asked.
const LAST_CALLS_MAX: Duration = Duration::from_secs(1);

/// What is left of it.
pub(super) struct RecordBudget {
    request: Deadline,
    left: Duration,
}

impl RecordBudget {
    pub(super) const fn of(request: Deadline) -> Self {
        Self { request, left: RECORD_MAX }
    }

    /// The deadline of what comes before the next call. It leaves the record its part: else a
    /// password would be hashed for an answer that can no longer be given, and what the record
    /// did in its last moment would not be known.
    pub(super) fn before_next_call(&self, clock: &dyn Clock) -> Deadline {
        let remaining = self.request.remaining(clock);
        // Of a short deadline half is left, so that hashing has a chance too.
        let part = self.left.min(remaining / 2);
        self.request.at_most(clock, remaining.saturating_sub(part))
    }

    /// The deadline of a call elsewhere, before the last ones of this budget. Whoever answers there takes
    /// longer than a password takes to be hashed, so less is left to the record.
    pub(super) fn before_last_calls(&self, clock: &dyn Clock) -> Deadline {
        let remaining = self.request.remaining(clock);
        let part = self.left.min(LAST_CALLS_MAX).min(remaining / 2);
        self.request.at_most(clock, remaining.saturating_sub(part))
    }

    /// Makes one call with a deadline of what is left, and takes from it what the call took.
    pub(super) async fn spend<T, F: Future<Output = T>>(
        &mut self,
        clock: &dyn Clock,
        call: impl FnOnce(Deadline) -> F,
    ) -> T {
        let started = clock.boottime();
        let answer = call(self.request.at_most(clock, self.left)).await;
        let took = clock.boottime().saturating_sub(started);
        self.left = self.left.saturating_sub(took);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::tests::ManualClock;

    #[test]
    fn what_comes_before_a_call_leaves_the_record_its_part() {
        let clock = ManualClock::default();
        let at = Duration::from_millis;
        for (deadline, before) in [(5000, 3000), (4000, 2000), (1000, 500), (0, 0)] {
            let budget = RecordBudget::of(Deadline::at_boottime(at(deadline)));
            assert_eq!(budget.before_next_call(&clock), Deadline::at_boottime(at(before)));
        }
    }
}
