//! Who is logged in: the device list of one user, and the list of all for operators.

use super::Service;
use crate::{
    Deadline, Session, SessionId, SessionVerdict, StoreError, Timestamp, UserId, Username,
};

/// The most devices that are listed: nobody reads on, and every answer has a limit.
const LIST_MAX: u32 = 200;

/// A user's sessions, as far as they are listed.
#[derive(Clone, Debug)]
pub struct ListedSessions {
    /// Those that are good now, newest first.
    pub sessions: Vec<Session>,
    /// Whether older ones were left out.
    pub is_cut: bool,
}

/// A part of the list of all sessions.
#[derive(Clone, Debug)]
pub struct SessionPage {
    /// Those that are good now, newest first, each with its user's name.
    pub sessions: Vec<(Session, Username)>,
    /// Where the next part begins; `None`: this is the last one.
    pub next: Option<SessionId>,
}

impl Service {
    /// A user's sessions that are good now, newest first.
    ///
    /// # Errors
    /// The record's.
    pub async fn list_sessions(
        &self,
        user: UserId,
        deadline: Deadline,
    ) -> Result<Vec<Session>, StoreError> {
        Ok(self.list_sessions_or_cut(user, deadline).await?.sessions)
    }

    /// The same, with the word on whether that is all of them.
    ///
    /// # Errors
    /// The record's.
    pub async fn list_sessions_or_cut(
        &self,
        user: UserId,
        deadline: Deadline,
    ) -> Result<ListedSessions, StoreError> {
        let now = self.now();
        let mut sessions = self.ports.record.list_sessions(user, now, LIST_MAX, deadline).await?;
        let is_cut = sessions.len() >= LIST_MAX as usize;
        sessions.retain_mut(|session| self.is_listed(session, now));
        Ok(ListedSessions { sessions, is_cut })
    }

    /// Everybody's sessions that are good now, newest first, those below `below`. Looks at `limit`
    /// at most, of which some may be over.
    ///
    /// # Errors
    /// The record's.
    pub async fn list_all_sessions(
        &self,
        below: Option<SessionId>,
        limit: u32,
        deadline: Deadline,
    ) -> Result<SessionPage, StoreError> {
        let now = self.now();
        let record = &self.ports.record;
        let mut sessions = record.list_all_sessions(below, now, limit, deadline).await?;
        let is_full = sessions.len() >= limit as usize;
        let next = sessions.last().map(|(session, _)| session.id).filter(|_| is_full);
        sessions.retain_mut(|(session, _)| self.is_listed(session, now));
        Ok(SessionPage { sessions, next })
    }

    /// Whether a session is good now, as this node knows; brings up to date when it was used.
    fn is_listed(&self, session: &mut Session, now: Timestamp) -> bool {
        session.last_seen_at = self.last_seen.latest(session.id, session.last_seen_at);
        let unwritten = self.last_seen.unwritten_at(now);
        let last_use = session.last_seen_at;
        let verdict = session.verdict_at(last_use, now, self.policy.idle_timeout, unwritten);
        verdict == SessionVerdict::Active
            && !self.pending.refuses_session(session.id, session.user_id)
    }
}
