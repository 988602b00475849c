//! The device list.

use super::Service;
use crate::{Deadline, Session, SessionVerdict, StoreError, UserId};

/// The most devices that are listed: nobody reads on, and every answer has a limit.
const LIST_MAX: u32 = 200;

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
        let now = self.now();
        let mut sessions = self.ports.record.list_sessions(user, now, LIST_MAX, deadline).await?;
        let unwritten = self.last_seen.unwritten_at(now);
        for session in &mut sessions {
            session.last_seen_at = self.last_seen.latest(session.id, session.last_seen_at);
        }
        sessions.retain(|session| {
            session.verdict_at(now, self.policy.idle_timeout, unwritten) == SessionVerdict::Active
                && !self.pending.refuses_session(&session.id)
        });
        Ok(sessions)
    }
}
