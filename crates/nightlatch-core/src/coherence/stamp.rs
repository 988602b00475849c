//! What a copy carries beside its session, so that it can be judged.
//!
//! All of it comes out of one statement of the record: a position that was read after the row would
//! vouch for what the row has not seen.

use std::time::Duration;

use uuid::Uuid;

use crate::{ApplicationSession, AsOf, FoundSession, Generation, History, SessionId, UserId};

/// What a copy says of itself, read in the very statement that read the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The credential generation that it belongs to.
    pub generation: Generation,
    /// The history that it was read in.
    pub history: History,
    /// The newest row of the feed when it was read.
    pub as_of: AsOf,
    /// When the record was asked for it, by the clock of this node.
    pub read_at: Duration,
}

impl Stamp {
    /// Of what the record found when it was asked at `read_at`.
    #[must_use]
    pub const fn of(found: &FoundSession, read_at: Duration) -> Self {
        Self {
            session: found.session.id,
            user: found.user.id,
            generation: found.user.generation,
            history: found.history,
            as_of: found.as_of,
            read_at,
        }
    }

    /// Of an application's session. It is nobody's: no user has this id, so nothing that is said of users
    /// is said of it.
    #[must_use]
    pub const fn of_application(found: &ApplicationSession, read_at: Duration) -> Self {
        Self {
            session: found.id,
            user: UserId::from_uuid(Uuid::nil()),
            generation: Generation(0),
            history: found.history,
            as_of: found.as_of,
            read_at,
        }
    }
}
