//! Access tokens: a copy of a session that its client carries.
//!
//! A service that only verifies the signature believes one until it expires. This service also judges
//! it as any other copy: by where in the record's history it was read.

use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use crate::{
    AsOf, BoxFuture, Deadline, Entropy, FoundSession, Generation, History, SessionId, StoreError,
    Timestamp, TokenHash, UserId, entropy,
};

/// How far the clock that an access token was dated by may be from the one that judges it.
pub const ACCESS_LEEWAY: Duration = Duration::from_secs(2);

/// What an access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Its own id.
    pub id: Uuid,
    /// The session that it is a copy of.
    pub session: SessionId,
    /// Whose that is.
    pub user: UserId,
    /// The credential generation of the session.
    pub generation: Generation,
    /// The history that it was read in.
    pub history: History,
    /// The newest row of the feed when it was read.
    pub as_of: AsOf,
    /// When it was made, in record time: whole seconds.
    pub issued_at: Timestamp,
    /// When it ends, in record time: whole seconds.
    pub expires_at: Timestamp,
}

impl AccessClaims {
    /// A copy of what the record has just told, for so long.
    #[must_use]
    pub fn of(
        found: &FoundSession,
        (now, life): (Timestamp, Duration),
        chance: &dyn Entropy,
    ) -> Self {
        let expires_at = now.after(life).min(found.session.expires_at);
        Self {
            id: entropy::fresh_id(chance, now),
            session: found.session.id,
            user: found.user.id,
            generation: found.user.generation,
            history: found.history,
            as_of: found.as_of,
            issued_at: now.whole_seconds(),
            expires_at: expires_at.whole_seconds(),
        }
    }

    /// Whether it is of a time to come. We have signed it, so a clock has gone back: it may be good.
    #[must_use]
    pub fn is_of_the_future(&self, now: Timestamp) -> bool {
        self.issued_at > now.after(ACCESS_LEEWAY)
    }

    /// Under what its session stands in the record.
    #[must_use]
    pub fn token(&self) -> TokenHash {
        TokenHash::of_bearer(self.session)
    }
}

/// Whether the time of an access token that ends then is over.
pub(crate) fn is_over(expires_at: Timestamp, now: Timestamp) -> bool {
    now >= expires_at.after(ACCESS_LEEWAY)
}

/// What the text of an access token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessCheck {
    /// Ours; whether it is of this time, and its session good, is still to be asked.
    Ours(AccessClaims),
    /// Signed with a key that this node has not heard of. Until when it says that it is good, which
    /// anybody may have written.
    UnknownKey(Timestamp),
    /// Not a token that we ever gave out.
    Forged,
}

/// There is no key to sign with.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("there is no key to sign access tokens with yet")]
pub struct NoSigningKey;

/// Where none are written or read.
impl AccessTokens for () {
    fn sign(&self, _claims: &AccessClaims) -> Result<String, NoSigningKey> {
        Err(NoSigningKey)
    }

    fn check(&self, _presented: &str) -> AccessCheck {
        AccessCheck::Forged
    }

    fn learn_keys(&self, _deadline: Deadline) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(std::future::ready(Ok(true)))
    }
}

/// Writes access tokens and reads them.
pub trait AccessTokens: Send + Sync {
    /// Signs one.
    ///
    /// # Errors
    /// [`NoSigningKey`]
    fn sign(&self, claims: &AccessClaims) -> Result<String, NoSigningKey>;

    /// Reads one, without asking anybody.
    fn check(&self, presented: &str) -> AccessCheck;

    /// Asks the record for the keys; whether this node can use all that there are.
    fn learn_keys(&self, deadline: Deadline) -> BoxFuture<'_, Result<bool, StoreError>>;
}
