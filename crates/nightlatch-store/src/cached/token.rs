//! Tokens with copies in front: what an exchange gives out is judged like whatever is read, and what
//! clients carry like whatever is kept.
//!
//! An access token is signed on the word of the record, and others believe it until it expires: so what
//! this node knows better must be known before.

use std::time::Duration;

use nightlatch_core::coherence::{Stamp, Verdict};
use nightlatch_core::{
    AccessClaims, Actor, Deadline, FailureClass, Outcome, Rotated, Rotation, SessionEnd, SessionId,
    StoreError, StoreErrorKind, StoreResult, StoredKey, TokenHash, TokenStore, Written,
};

use super::{CachedRecord, EndCause, Found, ROUNDS_MAX, Source};

const EXCHANGING: &str = "exchanging a refresh token";

impl TokenStore for CachedRecord {
    fn rotate(
        &self,
        rotation: Rotation,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<Rotated>> {
        Box::pin(self.rotate_judged(rotation, by, deadline))
    }

    fn knows_refresh(
        &self,
        session: SessionId,
        presented: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool> {
        self.record.knows_refresh(session, presented, deadline)
    }

    fn judge_carried(&self, copy: &AccessClaims, read_at: Duration) -> Option<bool> {
        self.note_use();
        let is_good = self.judge_carried_copy(copy, read_at);
        // Who is not known by it is looked up, and counted there.
        match is_good {
            Some(true) => self.tallies.looked_up(Source::Carried, Found::Session),
            Some(false) => self.tallies.looked_up(Source::Carried, Found::None),
            None => {}
        }
        is_good
    }

    fn list_keys(&self, deadline: Deadline) -> StoreResult<'_, Vec<StoredKey>> {
        self.record.list_keys(deadline)
    }

    fn add_key(&self, key: StoredKey, by: Actor, deadline: Deadline) -> StoreResult<'_, bool> {
        self.record.add_key(key, by, deadline)
    }

    fn reseal_key(
        &self,
        number: u32,
        (old, new): (Vec<u8>, Vec<u8>),
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.record.reseal_key(number, (old, new), deadline)
    }
}

impl CachedRecord {
    fn judge_carried_copy(&self, copy: &AccessClaims, read_at: Duration) -> Option<bool> {
        let AccessClaims { session, user, generation, history, as_of, .. } = *copy;
        let stamp = Stamp { session, user, generation, history, as_of, read_at };
        let verdict = self.judge_stamp(&stamp);
        match verdict {
            Verdict::Revoked => Some(false),
            // What has ended without a word of the feed only the record knows.
            _ if self.untold.names(&copy.token(), (session, user), copy.issued_at) => None,
            Verdict::Believed | Verdict::BelievedStale => Some(true),
            Verdict::Miss | Verdict::Unconfirmed | Verdict::TooStale => None,
        }
    }

    /// What the record answers is judged as whatever is read: where that cannot be told, it is asked
    /// again, which says the same again.
    async fn rotate_judged(
        &self,
        rotation: Rotation,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Written<Rotated>, StoreError> {
        let token = TokenHash::of_bearer(rotation.session);
        let span = deadline.remaining(self.clock.clock());
        let turn = self.turns.take(rotation.session, span).await;
        let Some(_turn) = turn else {
            let (kind, class) = (StoreErrorKind::Deadline, FailureClass::Timeout);
            return Err(StoreError::new(kind, class, Outcome::NotApplied, EXCHANGING));
        };
        for _ in 0..ROUNDS_MAX {
            let began = self.now();
            let rotated = self.record.rotate(rotation.clone(), by.clone(), deadline).await;
            let mut rotated = self.wrote(self.heard(rotated)?);
            let Rotated::Renewed { found, .. } = &rotated.value else {
                let is_reuse = matches!(rotated.value, Rotated::Reused);
                self.tallies.ended(EndCause::Reuse, u64::from(is_reuse));
                self.drop_untold(SessionEnd::Token(token), &rotated.rows);
                return Ok(rotated);
            };
            match self.judge_answer(found, began) {
                Verdict::Revoked => {
                    rotated.value = Rotated::Ended;
                    return Ok(rotated);
                }
                Verdict::Believed | Verdict::BelievedStale => {
                    self.keep_created(token, found, began);
                    return Ok(rotated);
                }
                Verdict::Miss | Verdict::Unconfirmed | Verdict::TooStale => {
                    self.look_now(deadline).await?;
                }
            }
        }
        let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::Busy);
        Err(StoreError::new(kind, class, Outcome::Unknown, EXCHANGING))
    }
}
