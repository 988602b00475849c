//! Counts what is too frequent to be logged: successful session checks and health.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was served since the start.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    session_checks: AtomicU64,
    health: AtomicU64,
}

impl Traffic {
    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_session_check(&self) {
        self.session_checks.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_health(&self) {
        self.health.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests, successful session checks, and answers about health.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.requests), load(&self.session_checks), load(&self.health))
    }
}
