//! The device list.

use super::Service;
use crate::{Deadline, Session, SessionVerdict, StoreError, UserId};

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
        let unwritten = self.last_seen.unwritten_at(now);
        for session in &mut sessions {
            session.last_seen_at = self.last_seen.latest(session.id, session.last_seen_at);
        }
        let idle_timeout = self.policy.idle_timeout;
        sessions.retain(|session| {
            let last_use = session.last_seen_at;
            let verdict = session.verdict_at(last_use, now, idle_timeout, unwritten);
            verdict == SessionVerdict::Active && !self.pending.refuses_session(&session.id)
        });
        Ok(ListedSessions { sessions, is_cut })
    }
}
