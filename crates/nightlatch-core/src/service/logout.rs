//! Logout: told as done only on the record's word.

use thiserror::Error;

use super::Service;
use crate::{Deadline, SessionEnd, SessionId, StoreError, TokenCheck, TokenHash, UserId};

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
    pub async fn logout(&self, token: TokenHash, deadline: Deadline) -> Result<(), LogoutError> {
        let end = SessionEnd::Token(token);
        let ended = self.ports.record.end_sessions(end, self.now(), deadline).await;
        match ended.map(|written| written.value) {
            Ok(0) => Err(LogoutError::NoSession),
            Ok(_) => Ok(()),
            Err(error) if self.wait_for_record(end) => Err(LogoutError::Pending(error)),
            Err(error) => Err(LogoutError::Record(error)),
        }
    }

    /// Ends one of a user's sessions; somebody else's is [`LogoutError::NoSession`].
    ///
    /// # Errors
    /// [`LogoutError`]; after [`LogoutError::Pending`] this node refuses the session.
    pub async fn revoke_session(
        &self,
        user: UserId,
        session: SessionId,
        deadline: Deadline,
    ) -> Result<(), LogoutError> {
        let end = SessionEnd::OneOf(user, session);
        let ended = self.ports.record.end_sessions(end, self.now(), deadline).await;
        match ended.map(|written| written.value) {
            Ok(0) => Err(LogoutError::NoSession),
            Ok(_) => Ok(()),
            Err(error) if self.wait_for_record(end) => Err(LogoutError::Pending(error)),
            Err(error) => Err(LogoutError::Record(error)),
        }
    }
}
