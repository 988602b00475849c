//! The revocation feed: every revocation is a row of the record with a position.
//!
//! A copy of a session says at which position of the feed it was read; whoever knows the feed from
//! there on can judge it. That is why positions are in commit order and why every row also carries
//! a random id: after a restore the same position may be used twice, the same id is not.

use std::time::Duration;

use uuid::Uuid;

use crate::{FailureClass, Generation, SessionId, Timestamp, UserId};

/// A place in the feed. Positions grow by one and follow commit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub i64);

/// Which history of the record this is. A restored or promoted record gets another epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub i64);

/// Which record, and which history of it: positions of another one say nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct History {
    /// The record, drawn at random when it was founded.
    pub record: Uuid,
    /// Its history.
    pub epoch: Epoch,
}

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
    pub history: History,
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
    /// As [`Self::UserBelow`], and the user was disabled or deleted.
    UserDisabled(UserId, Generation),
    /// The user may log in again. Ends nothing; older copies must be read again.
    UserEnabled(UserId),
    /// The data of an application's session were replaced: older copies must be read again. Ends
    /// nothing.
    RefetchSession(SessionId),
    /// A kind of a newer release: whatever it means, older copies must be read again.
    Unknown(i16),
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
            Self::UserDisabled(..) => 5,
            Self::UserEnabled(_) => 6,
            Self::RefetchSession(_) => 7,
            Self::Unknown(code) => code,
        }
    }
}

/// One row of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedRow {
    /// Its place.
    pub at: AsOf,
    /// What it says.
    pub kind: FeedKind,
}

/// What a change came to, with the feed rows that it wrote: the node that wrote them is bound by
/// them before anybody is answered, and knows them if the record should lose them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    /// What it came to.
    pub value: T,
    /// The rows, in the order of their positions.
    pub rows: Vec<FeedRow>,
}

/// What the record says of its feed, read in one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedNews {
    /// Where the feed ends.
    pub head: Head,
    /// The id of the row at the position that was asked about; `None` if it is gone or was never
    /// there.
    pub asked: Option<i64>,
    /// The rows above it, without gaps, oldest first, as many as were asked for at most.
    pub rows: Vec<FeedRow>,
    /// The record's clock; `None` where it has none of its own (SQLite), or has told it before.
    pub now: Option<Timestamp>,
    /// Why it takes no changes now, though it answers.
    pub write_failure: Option<FailureClass>,
}

/// How long feed rows and ended sessions are kept: far longer than any copy lives.
pub const FEED_RETENTION: Duration = Duration::from_hours(1);
