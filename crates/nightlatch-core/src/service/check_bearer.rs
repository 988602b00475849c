//! Bearer check: is this access token a copy of a good session.
//!
//! Its signature says that we made it. Whether it may be believed is judged as for any copy, and where
//! that cannot be told, the record is asked for its session.

use super::Service;
use super::check_session::{ActiveSession, CheckError};
use crate::access_token::is_over;
use crate::{AccessCheck, AccessClaims, Deadline, Timestamp, TokenHash};

impl Service {
    /// The session of an access token, with its user. `None`: we know that it is none, or no longer one.
    ///
    /// # Errors
    /// [`CheckError`] when we cannot know.
    pub async fn check_bearer(
        &self,
        presented: &str,
        deadline: Deadline,
    ) -> Result<Option<ActiveSession>, CheckError> {
        match self.read_access(presented, deadline).await? {
            Some(claims) => self.session_of(&claims, deadline).await,
            None => Ok(None),
        }
    }

    /// Whether an access token is good, by itself if what is known here says so.
    ///
    /// # Errors
    /// [`CheckError`] when we cannot know.
    pub async fn verify_access(
        &self,
        presented: &str,
        deadline: Deadline,
    ) -> Result<bool, CheckError> {
        let Some(claims) = self.read_access(presented, deadline).await? else { return Ok(false) };
        if self.pending.refuses_token(&claims.token())
            || self.pending.refuses_session(claims.session, claims.user)
        {
            return Ok(false);
        }
        // That a session is idle shows in no copy.
        if self.policy.idle_timeout.is_none()
            && let Some(verdict) = self.judge_carried(&claims)
        {
            return Ok(verdict);
        }
        Ok(self.session_of(&claims, deadline).await?.is_some())
    }

    /// Under what the session of an access token stands, without asking the record for it.
    ///
    /// # Errors
    /// [`CheckError`] when the key that it is signed with must be asked for.
    pub async fn bearer_token(
        &self,
        presented: &str,
        deadline: Deadline,
    ) -> Result<Option<TokenHash>, CheckError> {
        let claims = self.read_access(presented, deadline).await?;
        Ok(claims.map(|claims| claims.token()))
    }

    /// What an access token of this time says.
    async fn read_access(
        &self,
        presented: &str,
        deadline: Deadline,
    ) -> Result<Option<AccessClaims>, CheckError> {
        let tokens = &self.ports.access_tokens;
        let mut check = tokens.check(presented);
        if let AccessCheck::UnknownKey(until) = check {
            // It says so itself, whoever has signed it.
            if self.is_over(until)? {
                return Ok(None);
            }
            self.spend_unknown_key()?;
            let knows_all = tokens.learn_keys(deadline).await?;
            check = tokens.check(presented);
            if matches!(check, AccessCheck::UnknownKey(_)) && !knows_all {
                return Err(CheckError::UnknownKey);
            }
        }
        match check {
            AccessCheck::Ours(claims) => Ok((!self.is_over(claims.expires_at)?).then_some(claims)),
            // By a clock that is wrong a key may seem to have been given up.
            AccessCheck::UnknownKey(_) => self.knows_time().map(|()| None),
            AccessCheck::Forged => Ok(None),
        }
    }

    /// The session of an access token that was not over when it was read: the record may have told the
    /// time since.
    async fn session_of(
        &self,
        claims: &AccessClaims,
        deadline: Deadline,
    ) -> Result<Option<ActiveSession>, CheckError> {
        let Some(active) = self.check_token(claims.token(), deadline).await? else {
            return Ok(None);
        };
        Ok((!self.is_over(claims.expires_at)?).then_some(active))
    }

    /// Whether the time of an access token is over. An error where only a clock says so that was not
    /// told the time.
    fn is_over(&self, expires_at: Timestamp) -> Result<bool, CheckError> {
        // Before the clock is read: what it says until it was told is nothing.
        let knows_time = self.knows_time();
        let is_over = is_over(expires_at, self.now());
        if is_over { knows_time.map(|()| true) } else { Ok(false) }
    }

    fn judge_carried(&self, claims: &AccessClaims) -> Option<bool> {
        if claims.is_of_the_future(self.now()) {
            return None;
        }
        let age = self.now().since(claims.issued_at);
        let read_at = self.clock().boottime().saturating_sub(age);
        self.ports.record.judge_carried(claims, read_at)
    }
}
