//! Counts what is too frequent to be logged: successful session checks and health.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was served since the start.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    session_checks: AtomicU64,
    health: AtomicU64,
    refreshes: [AtomicU64; 3],
}

/// What became of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshOutcome {
    /// Exchanged.
    Renewed,
    /// Presented after it was exchanged: its session has ended by that.
    Reused,
    /// None, or no longer one.
    NotValid,
}

impl RefreshOutcome {
    const ALL: [Self; 3] = [Self::Renewed, Self::Reused, Self::NotValid];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Reused => "reused",
            Self::NotValid => "not_valid",
        }
    }
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

    pub(crate) fn count_refresh(&self, outcome: RefreshOutcome) {
        self.refreshes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Refresh tokens that were presented, by what became of them.
    pub(crate) fn refreshes(&self) -> [(&'static str, u64); 3] {
        RefreshOutcome::ALL.map(|outcome| {
            (outcome.as_str(), self.refreshes[outcome as usize].load(Ordering::Relaxed))
        })
    }

    /// Requests, successful session checks, and answers about health.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.requests), load(&self.session_checks), load(&self.health))
    }
}
