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
    /// Logouts of one turn with the audit log, or without.
    pub(crate) audited: usize,
    /// Sessions that are checked with and without traces.
    pub(crate) traced: usize,
    /// Sessions that servers share by Redis.
    pub(crate) shared_sessions: usize,
    /// Sockets that nobody says anything on.
    pub(crate) sockets: usize,
    /// How long they are watched, less than a silent client is kept.
    pub(crate) watched: Duration,
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
    /// What is measured of growing.
    pub(crate) scale: Scale,
}

/// The sizes of a run that shows how everything grows.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// How many sessions are stored, in turn.
    pub(crate) stored: &'static [usize],
    /// Those of them that are checked, at most.
    pub(crate) checked: usize,
    /// Those that log out, at most.
    pub(crate) logouts: usize,
    /// How long a server has after its start, and the others to hear of many logouts.
    pub(crate) settle: Duration,
    /// Those whose uses are written; a use is noted when the last one is older than 10 s, and written
    /// within 5 s.
    pub(crate) used: usize,
    pub(crate) until_noted: Duration,
    pub(crate) until_written: Duration,
    pub(crate) starts: usize,
    /// One to so many nodes share a record.
    pub(crate) nodes: usize,
    /// For how long nothing is asked of them.
    pub(crate) idle: Duration,
    /// Logouts over all of them, as fast as they go.
    pub(crate) revocations: usize,
    /// Logouts whose way to all others is measured.
    pub(crate) reached: usize,
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
            audited: 5000,
            traced: 200,
            shared_sessions: 20_000,
            sockets: 10_000,
            watched: Duration::from_secs(10),
            turns: 5,
            check_turn: Duration::from_secs(3),
            login_turn: Duration::from_secs(6),
            storm_turn: Duration::from_secs(6),
            starts: 20,
            idle: Duration::from_secs(30),
            scale: Scale {
                stored: &[1000, 10_000, 100_000, 1_000_000],
                checked: 20_000,
                logouts: 5000,
                settle: Duration::from_secs(2),
                used: 50_000,
                until_noted: Duration::from_secs(11),
                until_written: Duration::from_secs(7),
                starts: 3,
                nodes: 4,
                idle: Duration::from_secs(20),
                revocations: 15_000,
                reached: 30,
            },
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
            audited: 50,
            traced: 10,
            shared_sessions: 2000,
            sockets: 200,
            watched: Duration::from_secs(1),
            turns: 2,
            check_turn: Duration::from_millis(300),
            login_turn: Duration::from_millis(500),
            storm_turn: Duration::from_millis(700),
            starts: 2,
            // Hashing threads give their memory back after ten seconds.
            idle: Duration::from_secs(12),
            scale: Scale {
                stored: &[100, 1000],
                checked: 100,
                logouts: 50,
                settle: Duration::from_millis(200),
                used: 50,
                until_noted: Duration::ZERO,
                until_written: Duration::from_secs(1),
                starts: 1,
                nodes: 2,
                idle: Duration::from_secs(1),
                revocations: 50,
                reached: 3,
            },
        }
    }
}
