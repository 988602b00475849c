//! Where sessions that were asked for came from, and what became of sessions, counted.

use nightlatch_core::{Counters, SessionEnd};

/// Where the answer to a session check came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This node's own copies.
    Memory,
    /// Copies that nodes share.
    Shared,
    /// The record.
    Record,
    /// The copy that an access token is.
    Carried,
}

/// What the answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A session.
    Session,
    /// That there is none, or no longer.
    None,
    /// That it cannot be told.
    Unknown,
}

/// Why sessions have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// A logout.
    Logout,
    /// One's other device, or an operator's hand.
    Revoked,
    /// All others of a user.
    OthersRevoked,
    /// All of a user, or of everybody.
    AllRevoked,
    /// A login that came with it.
    Replaced,
    /// A change of the password, of the session that asked for it.
    PasswordChange,
    /// A refresh token that was used twice.
    Reuse,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Shared, Self::Record, Self::Carried];
}

impl Found {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Session, Self::None, Self::Unknown];

    pub(super) fn of<T, E>(answer: &Result<Option<T>, E>) -> Self {
        match answer {
            Ok(Some(_)) => Self::Session,
            Ok(None) => Self::None,
            Err(_) => Self::Unknown,
        }
    }
}

impl EndCause {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Logout,
        Self::Revoked,
        Self::OthersRevoked,
        Self::AllRevoked,
        Self::Replaced,
        Self::PasswordChange,
        Self::Reuse,
    ];

    pub(super) const fn of(end: SessionEnd) -> Self {
        match end {
            SessionEnd::Token(_) => Self::Logout,
            SessionEnd::One(_) | SessionEnd::OneOf(..) => Self::Revoked,
            SessionEnd::OthersOf(..) => Self::OthersRevoked,
            SessionEnd::AllOf(_) | SessionEnd::Everything => Self::AllRevoked,
        }
    }
}

const LOOKUPS: usize = Source::ALL.len() * Found::ALL.len();

/// The first of the counters of ended sessions.
const ENDED: usize = 1;

/// Counters of them.
#[derive(Debug, Default)]
pub struct SessionTallies {
    lookups: Counters<LOOKUPS>,
    /// Sessions that began, and then those that ended by their cause.
    lives: Counters<{ ENDED + EndCause::ALL.len() }>,
}

impl SessionTallies {
    pub(super) fn looked_up(&self, source: Source, found: Found) {
        self.lookups.count(index(source, found));
    }

    pub(super) fn started(&self) {
        self.lives.count(0);
    }

    pub(super) fn ended(&self, cause: EndCause, sessions: u64) {
        self.lives.add(ENDED + cause as usize, sessions);
    }

    /// How many sessions were asked for, by where the answer came from and what it was.
    pub fn lookups(&self) -> impl Iterator<Item = (Source, Found, u64)> {
        let counts = self.lookups.read();
        Source::ALL.into_iter().flat_map(move |source| {
            Found::ALL.map(|found| (source, found, counts[index(source, found)]))
        })
    }

    /// How many sessions this node has begun.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.lives.read()[0]
    }

    /// How many sessions this node has ended, by why.
    pub fn ends(&self) -> impl Iterator<Item = (EndCause, u64)> {
        let counts = self.lives.read();
        EndCause::ALL.into_iter().map(move |cause| (cause, counts[ENDED + cause as usize]))
    }
}

const fn index(source: Source, found: Found) -> usize {
    source as usize * Found::ALL.len() + found as usize
}
