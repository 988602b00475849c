//! Session check: is this token a session, and whose.
//!
//! The most frequent request of all. A forged token is refused without asking anybody.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::Service;
use crate::{
    CsrfTokens, Deadline, FoundSession, Session, SessionVerdict, StoreError, Timestamp, TokenCheck,
    TokenHash, User,
};

/// A session that is good now.
#[derive(Clone, Debug)]
pub struct ActiveSession {
    found: Arc<FoundSession>,
    /// Now.
    pub last_seen_at: Timestamp,
    /// The hash of its token: what CSRF tokens are bound to.
    pub token: TokenHash,
    /// When it expires if it is not used again.
    pub idle_expires_at: Option<Timestamp>,
}

impl ActiveSession {
    /// The session, as it was read: `last_seen_at` beside it is newer.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.found.session
    }

    /// Its user.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.found.user
    }

    /// Its CSRF token, made by the first who asks for it and kept with the copy.
    #[must_use]
    pub fn csrf_token(&self, tokens: &CsrfTokens) -> &str {
        self.found.csrf_token.get_or_init(|| tokens.for_session(self.token).into_boxed_str())
    }
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
    /// What was asked for was made with a key that this node does not have.
    #[error("the key of another node is needed")]
    UnknownKey,
    /// The record has not told the time yet, and by this machine's what was presented is over.
    #[error("the record has not told the time yet")]
    UnknownTime,
    /// What was asked for arrived at the record when others had gone on.
    #[error("the record was asked too late")]
    Late,
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
                self.spend_unknown_key()?;
                token
            }
        };
        self.check_token(token, deadline).await
    }

    /// Checks what stands under a token that is ours.
    pub(super) async fn check_token(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> Result<Option<ActiveSession>, CheckError> {
        if self.pending.refuses_token(&token) {
            return Ok(None);
        }
        let record = &self.ports.record;
        let Some(found) = record.find_session(token, deadline).await? else { return Ok(None) };
        let now = self.now();
        match self.judge(&found, found.last_use.get(), now) {
            SessionVerdict::Active => return Ok(self.activate(found, token, now)),
            SessionVerdict::Expired => return self.knows_time().map(|()| None),
            // A copy never proves it: somebody may have used the session on another node.
            SessionVerdict::Idle => {}
        }
        let Some(found) = record.reread_session(token, deadline).await? else { return Ok(None) };
        let last_use = self.last_seen.latest(found.session.id, found.last_use.get());
        match self.judge(&found, last_use, now) {
            SessionVerdict::Active => Ok(self.activate(found, token, now)),
            SessionVerdict::Expired | SessionVerdict::Idle => self.knows_time().map(|()| None),
        }
    }

    /// An error while this machine's clock may be wrong by anything.
    pub(super) fn knows_time(&self) -> Result<(), CheckError> {
        if self.ports.clock.is_told() { Ok(()) } else { Err(CheckError::UnknownTime) }
    }

    /// One more token of a key that this node does not have.
    pub(super) fn spend_unknown_key(&self) -> Result<(), CheckError> {
        let spent = self.unknown_keys.spend(self.clock().boottime());
        spent.map_err(|retry_after| CheckError::Overloaded { retry_after })
    }

    pub(super) fn judge(
        &self,
        found: &FoundSession,
        last_use: Timestamp,
        now: Timestamp,
    ) -> SessionVerdict {
        let unwritten = self.last_seen.unwritten_at(now);
        found.session.verdict_at(last_use, now, self.policy.idle_timeout, unwritten)
    }

    /// Notes the use; `None`: its logout waits for the record.
    fn activate(
        &self,
        found: Arc<FoundSession>,
        token: TokenHash,
        now: Timestamp,
    ) -> Option<ActiveSession> {
        if self.pending.refuses_session(found.session.id, found.user.id) {
            return None;
        }
        self.last_seen.note(&found, now);
        let expires_at = found.session.expires_at;
        let idle_expires_at = self.policy.idle_timeout.map(|idle| now.after(idle).min(expires_at));
        let last_seen_at = found.last_use.get().max(now);
        Some(ActiveSession { found, last_seen_at, token, idle_expires_at })
    }
}
