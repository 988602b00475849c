//! Watch: how it is with a session that somebody looks at all the time.
//!
//! A look is no use of the session: a page that lies open must not keep alive what nobody uses.

use std::sync::Arc;

use super::Service;
use super::check_session::{ActiveSession, CheckError};
use crate::{Deadline, FoundSession, SessionVerdict};

/// How it is with a watched session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchedSession {
    /// It is as it was.
    Active,
    /// It was ended: by a logout, a revocation, a changed password, a disabled user.
    Revoked,
    /// Its time is over.
    Expired,
}

impl Service {
    /// Looks at a session that was good once.
    ///
    /// # Errors
    /// [`CheckError`] when we cannot know.
    pub async fn watch_session(
        &self,
        active: &ActiveSession,
        deadline: Deadline,
    ) -> Result<WatchedSession, CheckError> {
        let (session, token) = (active.session(), active.token);
        if self.pending.refuses_token(&token)
            || self.pending.refuses_session(session.id, session.user_id)
        {
            return Ok(WatchedSession::Revoked);
        }
        if self.now() >= session.expires_at {
            return self.knows_time().map(|()| WatchedSession::Expired);
        }
        let record = &self.ports.record;
        let Some(found) = record.find_session(token, deadline).await? else {
            return Ok(WatchedSession::Revoked);
        };
        if self.verdict_of(&found) != SessionVerdict::Idle {
            return Ok(WatchedSession::Active);
        }
        // A copy never proves it: somebody may have used the session on another node.
        let Some(found) = record.reread_session(token, deadline).await? else {
            return Ok(WatchedSession::Revoked);
        };
        match self.verdict_of(&found) {
            SessionVerdict::Active => Ok(WatchedSession::Active),
            SessionVerdict::Idle | SessionVerdict::Expired => {
                self.knows_time().map(|()| WatchedSession::Expired)
            }
        }
    }

    fn verdict_of(&self, found: &Arc<FoundSession>) -> SessionVerdict {
        let (now, last_use) = (self.now(), found.last_use.get());
        match self.judge(found, last_use, now) {
            SessionVerdict::Idle => {
                self.judge(found, self.last_seen.latest(found.session.id, last_use), now)
            }
            verdict => verdict,
        }
    }
}
