//! How long a request that hashes a password may wait for the record in all its calls together.
//!
//! Such a request has a long deadline because hashing is slow, not because the record may be.

use std::time::Duration;

use crate::{Clock, Deadline};

/// What the record gets of one request.
const RECORD_MAX: Duration = Duration::from_secs(2);

/// What is left of it.
pub(super) struct RecordBudget {
    request: Deadline,
    left: Duration,
}

impl RecordBudget {
    pub(super) const fn of(request: Deadline) -> Self {
        Self { request, left: RECORD_MAX }
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
