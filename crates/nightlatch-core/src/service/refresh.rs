//! Refresh: a refresh token becomes the next pair of tokens, exactly once in effect.
//!
//! Its successor follows from the token itself, so a client that lost the answer asks again and is told
//! the same. Who comes with a token after its successor was used has stolen it, or was stolen from.

use super::Service;
use super::check_session::CheckError;
use super::issue_tokens::TokenPair;
use crate::{Actor, Deadline, RefreshCheck, RefreshToken, Rotated, Rotation, SessionId, TokenHash};

/// What became of a refresh token.
#[derive(Debug)]
pub enum Refreshed {
    /// The next pair.
    Renewed(TokenPair),
    /// It was exchanged before: this session has ended by that, whoever came with it.
    Reused(SessionId),
    /// We know that it is none, or no longer one.
    NotValid,
}

impl Service {
    /// Exchanges a refresh token for the next pair of tokens.
    ///
    /// # Errors
    /// [`CheckError`] when we cannot know; the token is as good as before, or its successor will be told.
    pub async fn refresh(
        &self,
        presented: &str,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Refreshed, CheckError> {
        let (presented, is_proven) = match self.keys.refresh.check(presented) {
            RefreshCheck::Forged => return Ok(Refreshed::NotValid),
            RefreshCheck::Ours(token) => (token, true),
            RefreshCheck::UnknownKey(token) => {
                self.spend_unknown_key()?;
                (token, false)
            }
        };
        let session = presented.session();
        if self.pending.refuses_token(&TokenHash::of_bearer(session)) {
            return Ok(Refreshed::NotValid);
        }
        // By the time that it is told the record finds tokens and sessions that are over.
        self.knows_time()?;
        let Some(rotation) = self.rotation(&presented, is_proven) else {
            return Ok(Refreshed::NotValid);
        };
        let rotated = self.ports.record.rotate(rotation, by, deadline).await?;
        let (found, key) = match rotated.value {
            Rotated::Renewed { found, key } => (found, key),
            Rotated::Reused => return Ok(Refreshed::Reused(session)),
            Rotated::Late => return Err(CheckError::Late),
            Rotated::Ended => return Ok(Refreshed::NotValid),
        };
        // Not before: a logout may have come while the record was asked.
        if self.pending.refuses_token(&TokenHash::of_bearer(session))
            || self.pending.refuses_session(session, found.user.id)
        {
            return Ok(Refreshed::NotValid);
        }
        let successor = self.keys.refresh.successor(&presented, key);
        // A node that has been given a new key already has told it to this client before.
        let successor = successor.ok_or(CheckError::UnknownKey)?;
        self.last_seen.note(&found, self.now());
        Ok(Refreshed::Renewed(self.pair(&found, successor)))
    }

    fn rotation(&self, presented: &RefreshToken, is_proven: bool) -> Option<Rotation> {
        let (now, key) = (self.now(), self.keys.refresh.key());
        let successor = self.keys.refresh.successor(presented, key)?;
        let unwritten = self.last_seen.unwritten_at(now);
        let idle = self.policy.idle_timeout.map(|idle| idle.saturating_add(unwritten));
        Some(Rotation {
            session: presented.session(),
            presented: presented.hash(),
            step: presented.step(),
            before: presented.before(),
            is_proven,
            successor: successor.hash(),
            key,
            keys: self.keys.refresh.keys(),
            now,
            expires_at: now.after(self.policy.refresh_age),
            idle_since: idle.map(|idle| now.before(idle)).filter(|since| {
                // What this node knows of its uses may not be written yet.
                self.last_seen.latest(presented.session(), *since) == *since
            }),
            grace: self.policy.refresh_grace,
        })
    }
}
