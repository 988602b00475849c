//! The revocation feed: every revocation is a row of the record with a position.
//!
//! A copy of a session says at which position of the feed it was read; whoever knows the feed from
//! there on can judge it. That is why positions are in commit order and why every row also carries
//! a random id: after a restore the same position may be used twice, the same id is not.

use std::time::Duration;

use crate::{Generation, SessionId, UserId};

/// A place in the feed. Positions grow by one and follow commit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub i64);

/// Which history of the record this is. A restored or promoted record gets another epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub i64);

/// The feed row that was newest in the statement that read or wrote something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AsOf {
    /// Its position.
    pub position: Position,
    /// Its random id: another id at the same position is another history.
    pub row_id: i64,
}

/// The head of the feed: where it ends, in which history, and up to where it was pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which history this is.
    pub epoch: Epoch,
    /// The newest row.
    pub newest: AsOf,
    /// Rows up to this position may be gone. The newest row never is.
    pub pruned_to: Position,
}

/// What a feed row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedKind {
    /// The first row of a history; ends nothing.
    Start,
    /// A session has ended.
    Session(SessionId),
    /// All sessions of a user below a credential generation have ended.
    UserBelow(UserId, Generation),
    /// Every session has ended.
    Everything,
    /// A user's data changed: older copies must be read again. Ends nothing.
    RefetchUser(UserId),
}

impl FeedKind {
    /// The number in the `kind` column. Numbers are never used again for something else.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Start => 0,
            Self::Session(_) => 1,
            Self::UserBelow(..) => 2,
            Self::Everything => 3,
            Self::RefetchUser(_) => 4,
        }
    }
}

/// How long feed rows and ended sessions are kept: far longer than any copy lives.
pub const FEED_RETENTION: Duration = Duration::from_hours(1);
