//! The port to the feed: what a node asks again and again, and what it does when history forked.

use std::future::pending;

use super::{BoxFuture, StoreResult};
use crate::{
    Deadline, Epoch, FailureClass, FeedKind, FeedNews, FeedRow, Generation, Head, History,
    Position, SessionId, Timestamp, UserId,
};

/// What a node remembers of revocations that the record has lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostRevocations {
    /// Sessions that had ended.
    pub sessions: Vec<SessionId>,
    /// What had happened to users.
    pub users: Vec<LostUser>,
    /// Every session had ended.
    pub everything: bool,
}

impl LostRevocations {
    /// Whom rows of the feed end by name, as far as writing it twice does no harm.
    #[must_use]
    pub fn of_ends(kinds: impl IntoIterator<Item = FeedKind>) -> Self {
        let mut ends = Self::default();
        for kind in kinds {
            match kind {
                FeedKind::Session(id) => ends.sessions.push(id),
                FeedKind::UserBelow(id, generation) | FeedKind::UserDisabled(id, generation) => {
                    ends.users.push(LostUser { id, below: Some(generation), enabled: None });
                }
                FeedKind::Start
                | FeedKind::Everything
                | FeedKind::RefetchUser(_)
                | FeedKind::RefetchSession(_)
                | FeedKind::UserEnabled(_)
                | FeedKind::Unknown(_) => {}
            }
        }
        ends
    }
}

/// What the record has lost about one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostUser {
    /// Who.
    pub id: UserId,
    /// All sessions below this generation had ended.
    pub below: Option<Generation>,
    /// Whether the user could log in; `None`: nobody had changed that.
    pub enabled: Option<bool>,
}

/// What the record says when asked how it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordProbe {
    /// Its clock; `None` where it has none of its own (SQLite).
    pub now: Option<Timestamp>,
    /// The head of its feed.
    pub head: Head,
    /// Why it takes no changes now, though it answers.
    pub write_failure: Option<FailureClass>,
}

/// The revocation feed.
pub trait FeedStore: Send + Sync {
    /// Reads head, clock, the row at `after` and at most `limit` rows above it, in one statement.
    /// `None` asks for the head alone.
    fn poll_feed(
        &self,
        after: Option<Position>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FeedNews>;

    /// Completes when the feed may have moved since the last call: a reason to look at it now, never
    /// one not to. A record that cannot tell never completes. What happens while nobody waits ends
    /// the next wait; many changes may be one. For one caller at a time, who may drop it.
    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(pending())
    }

    /// Begins the epoch `fresh` if the record still is in history `from`: of several who claim one
    /// from the same history the first wins. The head as it then is.
    fn claim_epoch(&self, from: History, fresh: Epoch, deadline: Deadline)
    -> StoreResult<'_, Head>;

    /// Writes revocations back that the record has lost; the feed rows of it. Each session that
    /// lives ends and gets its feed row. Each user's generation becomes at least the remembered
    /// one, and higher than it was if the user has to be disabled; the sessions below it end.
    /// Twice does no harm: what the record already says is left alone, and so is what it has not.
    fn restore_revocations(
        &self,
        lost: LostRevocations,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<FeedRow>>;

    /// Asks how it is.
    fn probe(&self, deadline: Deadline) -> StoreResult<'_, RecordProbe> {
        let asking = self.poll_feed(None, 0, deadline);
        Box::pin(async move {
            let FeedNews { head, now, write_failure, .. } = asking.await?;
            Ok(RecordProbe { now, head, write_failure })
        })
    }
}
