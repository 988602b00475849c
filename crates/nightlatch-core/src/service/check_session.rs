//! Session check: is this token a session, and whose.
//!
//! The most frequent request of all. A forged token is refused without asking anybody.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::Service;
use crate::{
    Deadline, FoundSession, Session, SessionVerdict, StoreError, Timestamp, TokenCheck, TokenHash,
    User,
};

/// A session that is good now.
#[derive(Clone, Debug)]
pub struct ActiveSession {
    /// The session, last seen now.
    pub session: Session,
    /// Its user.
    pub user: User,
    /// The hash of its token: what CSRF tokens are bound to.
    pub token: TokenHash,
    /// When it expires if it is not used again.
    pub idle_expires_at: Option<Timestamp>,
}

/// Why a session could not be checked. Never means that it is not good.
#[derive(Debug, Error)]
pub enum CheckError {
    /// Too many tokens of keys that this node does not have.
    #[error("too many tokens of unknown keys")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The record gave no answer.
    #[error(transparent)]
    Record(#[from] StoreError),
}

impl Service {
    /// Checks a presented token. `None`: we know that it is no session, or no longer one.
    ///
    /// # Errors
    /// [`CheckError`] when we cannot know.
    pub async fn check_session(
        &self,
        presented: &str,
        deadline: Deadline,
    ) -> Result<Option<ActiveSession>, CheckError> {
        let token = match self.keys.tokens.check(presented) {
            TokenCheck::Forged => return Ok(None),
            TokenCheck::Ours(token) => token,
            TokenCheck::UnknownKey(token) => {
                self.unknown_keys
                    .spend(self.clock().boottime())
                    .map_err(|retry_after| CheckError::Overloaded { retry_after })?;
                token
            }
        };
        if self.pending.refuses_token(&token) {
            return Ok(None);
        }
        let found = self.ports.record.find_session(token, deadline).await?;
        Ok(found.and_then(|found| self.judge(Arc::unwrap_or_clone(found), token)))
    }

    fn judge(&self, found: FoundSession, token: TokenHash) -> Option<ActiveSession> {
        let FoundSession { mut session, user, .. } = found;
        let now = self.now();
        session.last_seen_at = self.last_seen.latest(session.id, session.last_seen_at);
        let unwritten = self.last_seen.unwritten_at(now);
        let verdict = session.verdict_at(now, self.policy.idle_timeout, unwritten);
        if verdict != SessionVerdict::Active || self.pending.refuses_session(&session.id) {
            return None;
        }
        self.last_seen.note(session.id, session.last_seen_at, now);
        session.last_seen_at = session.last_seen_at.max(now);
        let idle_expires_at =
            self.policy.idle_timeout.map(|idle| now.after(idle).min(session.expires_at));
        Some(ActiveSession { session, user, token, idle_expires_at })
    }
}
