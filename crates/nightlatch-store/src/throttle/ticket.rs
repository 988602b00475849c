//! Places in the queue and reserved tries, each of which is given up when it is dropped: callers leave
//! in the middle.

use std::sync::Arc;

use nightlatch_core::{BoxFuture, FailedTry, Ticket};

use super::Shared;
use super::together::Reservation;
use super::turnstile::Wants;

/// A place in the queue; given up when it is dropped.
pub(super) struct Place<'a> {
    pub(super) shared: &'a Shared,
    pub(super) number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.counters().turnstile.leave(self.number);
    }
}

/// A reserved try that nobody has begun to evaluate: dropping it gives it back.
pub(super) struct Reserved {
    pub(super) shared: Arc<Shared>,
    pub(super) wants: Option<Wants>,
    /// The same where nodes count together.
    pub(super) together: Option<Reservation>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(wants) = self.wants.take() {
            self.shared.give_back(&wants, self.together);
        }
    }
}

/// A reserved try in the hands of the one who evaluates it: dropping it counts as failed.
pub(super) struct LocalTicket {
    pub(super) reserved: Reserved,
    /// What the audit log is told if it fails.
    pub(super) tried: Option<FailedTry>,
}

impl Ticket for LocalTicket {
    fn give_back(mut self: Box<Self>) {
        if let Some(wants) = self.reserved.wants.take() {
            self.reserved.shared.give_back(&wants, self.reserved.together);
        }
    }

    fn fail(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        let kept_at = self.count_failure();
        let shared = self.reserved.shared.clone();
        Box::pin(async move {
            if let Some(number) = kept_at {
                shared.journal.written(number).await;
            }
        })
    }
}

impl Drop for LocalTicket {
    fn drop(&mut self) {
        self.count_failure();
    }
}

impl LocalTicket {
    /// Once; up to where the journal must be written for it to be kept.
    fn count_failure(&mut self) -> Option<u64> {
        let wants = self.reserved.wants.take()?;
        let tried = self.tried.take();
        if wants.is_empty() && tried.is_none() {
            return None;
        }
        Some(self.reserved.shared.fail(&wants, tried, self.reserved.together))
    }
}
