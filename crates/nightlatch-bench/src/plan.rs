//! How long everything is measured: long enough to be believed, or just so that it cannot rot.

use std::time::Duration;

/// The sizes of a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Sessions that checks rotate through.
    pub(crate) sessions: usize,
    /// How often two things that are compared take turns, so that drift of the machine cancels.
    pub(crate) turns: usize,
    /// How many sessions are stored, in turn, while checks are measured.
    pub(crate) stored_sessions: &'static [usize],
    /// Logouts whose way to another server is measured.
    pub(crate) logouts: usize,
    /// Logouts as fast as they go.
    pub(crate) revocations: usize,
    /// Sessions that end in one go.
    pub(crate) revoked_at_once: usize,
    /// Sessions that servers share by Redis.
    pub(crate) shared_sessions: usize,
    /// Sockets that nobody says anything on.
    pub(crate) sockets: usize,
    /// One turn of session checks.
    pub(crate) check_turn: Duration,
    /// One turn of logins, and of raw hashing.
    pub(crate) login_turn: Duration,
    /// One turn of session checks with a login storm beside it, and without.
    pub(crate) storm_turn: Duration,
    /// Starts on a new database, and as many on an existing one.
    pub(crate) starts: usize,
    /// How long after the last login memory is looked at.
    pub(crate) idle: Duration,
}

impl Plan {
    /// The run whose numbers count: about seven minutes.
    pub(crate) const fn full() -> Self {
        Self {
            sessions: 1000,
            stored_sessions: &[1000, 100_000, 1_000_000],
            logouts: 100,
            revocations: 100_000,
            revoked_at_once: 20_000,
            shared_sessions: 20_000,
            sockets: 10_000,
            turns: 5,
            check_turn: Duration::from_secs(3),
            login_turn: Duration::from_secs(6),
            storm_turn: Duration::from_secs(6),
            starts: 20,
            idle: Duration::from_secs(30),
        }
    }

    /// Every step once or twice, in less than 30 seconds; the numbers mean little.
    pub(crate) const fn quick() -> Self {
        Self {
            sessions: 50,
            stored_sessions: &[100, 1000],
            logouts: 3,
            revocations: 50,
            revoked_at_once: 500,
            shared_sessions: 2000,
            sockets: 200,
            turns: 2,
            check_turn: Duration::from_millis(300),
            login_turn: Duration::from_millis(500),
            storm_turn: Duration::from_millis(700),
            starts: 2,
            // Hashing threads give their memory back after ten seconds.
            idle: Duration::from_secs(12),
        }
    }
}
