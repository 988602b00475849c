//! Logout: told as done only on the record's word.

use thiserror::Error;

use super::Service;
use crate::{Actor, Deadline, SessionEnd, SessionId, StoreError, TokenCheck, TokenHash, UserId};

/// Why a session was not ended, as far as we know.
#[derive(Debug, Error)]
pub enum LogoutError {
    /// There was no such session.
    #[error("there is no such session")]
    NoSession,
    /// The record has not confirmed it. This node refuses the session from now on, and tries on.
    #[error("the revocation is not durable yet")]
    Pending(#[source] StoreError),
    /// The record did not confirm it, and too many revocations wait already.
    #[error(transparent)]
    Record(StoreError),
}

impl Service {
    /// What a presented token could be a session of, without asking the record. CSRF tokens are
    /// bound to it, so that a logout can be checked while the record is away.
    #[must_use]
    pub fn token_hash(&self, presented: &str) -> Option<TokenHash> {
        match self.keys.tokens.check(presented) {
            TokenCheck::Ours(token) | TokenCheck::UnknownKey(token) => Some(token),
            TokenCheck::Forged => None,
        }
    }

    /// Ends the session of a token.
    ///
    /// # Errors
    /// [`LogoutError`]; after [`LogoutError::Pending`] this node refuses the session.
    pub async fn logout(
        &self,
        token: TokenHash,
        by: Actor,
        deadline: Deadline,
    ) -> Result<(), LogoutError> {
        self.end_or_wait(SessionEnd::Token(token), by, deadline).await
    }

    /// Ends one of a user's sessions; somebody else's is [`LogoutError::NoSession`].
    ///
    /// # Errors
    /// [`LogoutError`]; after [`LogoutError::Pending`] this node refuses the session.
    pub async fn revoke_session(
        &self,
        user: UserId,
        session: SessionId,
        by: Actor,
        deadline: Deadline,
    ) -> Result<(), LogoutError> {
        self.end_or_wait(SessionEnd::OneOf(user, session), by, deadline).await
    }

    /// Ends a session, now or when the record is back.
    async fn end_or_wait(
        &self,
        end: SessionEnd,
        by: Actor,
        deadline: Deadline,
    ) -> Result<(), LogoutError> {
        let ended = self.ports.record.end_sessions(end, self.now(), by.clone(), deadline).await;
        match ended.map(|written| written.value) {
            Ok(0) => Err(LogoutError::NoSession),
            Ok(_) => Ok(()),
            Err(error) if self.wait_for_record(end, by) => Err(LogoutError::Pending(error)),
            Err(error) => Err(LogoutError::Record(error)),
        }
    }
}
