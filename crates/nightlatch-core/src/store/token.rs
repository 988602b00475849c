//! The port to refresh tokens, and to the keys that access tokens are signed with.

use std::sync::Arc;
use std::time::Duration;

use super::StoreResult;
use crate::{
    AccessClaims, Actor, Deadline, FoundSession, KeyId, SessionId, Timestamp, TokenHash, Written,
};

/// Servers that reach the record agree on its time within so much.
pub const CLOCKS_APART: Duration = Duration::from_secs(1);

/// A refresh token that is presented, and what is to come after it.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The session that it names.
    pub session: SessionId,
    /// What the record knows of it.
    pub presented: TokenHash,
    /// How many came before it, as it says.
    pub step: u32,
    /// The beginning of what the record knew of the token before it, as it says.
    pub before: [u8; 16],
    /// Whether it is known to be ours. What anybody may have invented ends nothing.
    pub is_proven: bool,
    /// What comes after it.
    pub successor: TokenHash,
    /// By which key that was derived.
    pub key: KeyId,
    /// The keys by which this node can derive one.
    pub keys: Vec<KeyId>,
    /// Now, in record time.
    pub now: Timestamp,
    /// Until when the successor may be exchanged.
    pub expires_at: Timestamp,
    /// A session that was not used after this is idle; `None`: none is.
    pub idle_since: Option<Timestamp>,
    /// For how long, in service time, its successor is told again.
    pub grace: Duration,
}

/// What the record knows of a session's refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownRefresh {
    /// The one that may be exchanged.
    pub current: TokenHash,
    /// The one that was exchanged for it.
    pub previous: Option<TokenHash>,
    /// By which key it followed from that.
    pub key: KeyId,
    /// How many came before it.
    pub step: u32,
    /// When that was exchanged, in service time.
    pub exchanged_at: Duration,
    /// When the session was last used, in record time.
    pub last_used_at: Timestamp,
}

/// What is to be done with a presented refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// It is exchanged now.
    First,
    /// It has just been: its successor is told again.
    Again,
    /// It was, and the session ends by it.
    Reuse,
    /// It was, after it was presented: nobody waits for what becomes of it.
    Late,
    /// It is none.
    None,
}

impl Rotation {
    /// Judges what is presented by what is known, at this service time and this time of the record.
    #[must_use]
    pub fn judge(
        &self,
        known: &KnownRefresh,
        service_time: Duration,
        record_time: Timestamp,
    ) -> Exchange {
        // The record has gone back over the exchange that made it.
        let is_newer = self.is_proven
            && self.step == known.step.saturating_add(1)
            && known.current.as_bytes().starts_with(&self.before);
        if self.presented == known.current || is_newer {
            return Exchange::First;
        }
        let was_current = known.previous == Some(self.presented);
        let age = service_time.saturating_sub(known.exchanged_at);
        // Nobody is late by a node that could not tell the successor.
        let is_late = age > self.grace && self.keys.contains(&known.key);
        if was_current && !is_late {
            return Exchange::Again;
        }
        // Of one that is newer than all that is known nobody has gone on from here.
        let was_ours = was_current || self.is_proven && self.step <= known.step;
        // A network may deliver what its client has long asked for again elsewhere, and gone on from.
        // Of a use that is yet to come, as by a clock that was wrong, nothing follows.
        let now = record_time.after(CLOCKS_APART);
        let has_gone_on = known.last_used_at > self.now && known.last_used_at <= now;
        match (was_ours, has_gone_on) {
            (false, _) => Exchange::None,
            (true, true) => Exchange::Late,
            (true, false) => Exchange::Reuse,
        }
    }
}

/// What became of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// Its successor holds, by this key: from now on, or since a moment ago, when the answer was lost.
    Renewed {
        /// The session, as after that.
        found: Arc<FoundSession>,
        /// By which key its successor was derived.
        key: KeyId,
    },
    /// It was exchanged before, and somebody has gone on from there, or it took too long: one of two
    /// who have it has stolen it. Its session has ended by that.
    Reused,
    /// The same, but its client had gone on when this arrived: nothing has changed.
    Late,
    /// There is no such session any more, or no such token.
    Ended,
}

/// A key that access tokens are signed with, as the record keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Which one; the first is 1.
    pub number: u32,
    /// Sealed.
    pub sealed: Vec<u8>,
    /// When it was stored, in record time.
    pub stored_at: Timestamp,
    /// From when on it signs, in record time.
    pub signs_from: Timestamp,
}

/// Refresh tokens and signing keys.
pub trait TokenStore: Send + Sync {
    /// Exchanges a refresh token for its successor, once: of those who present it at the same moment one
    /// does, and the others are told the same. The session's user must be enabled, and of its
    /// generation.
    ///
    /// A token that is known to be ours and follows from the one that the record knows is good: the
    /// record has gone back over the exchange that made it.
    fn rotate(
        &self,
        rotation: Rotation,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<Rotated>>;

    /// Whether a token is the current one of a living session, or the one before.
    fn knows_refresh(
        &self,
        session: SessionId,
        presented: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool>;

    /// Whether a copy that its client carries, read at this boot time, may be believed, by what is known
    /// here. `None`: the record must be asked.
    fn judge_carried(&self, _copy: &AccessClaims, _read_at: Duration) -> Option<bool> {
        None
    }

    /// All signing keys, the first first.
    fn list_keys(&self, deadline: Deadline) -> StoreResult<'_, Vec<StoredKey>>;

    /// Stores a signing key, unless there is one of its number; whether it did.
    fn add_key(&self, key: StoredKey, by: Actor, deadline: Deadline) -> StoreResult<'_, bool>;

    /// Puts the same key in its place that is sealed otherwise, if it still is sealed as it was: from the
    /// first of the two to the second.
    fn reseal_key(
        &self,
        number: u32,
        sealed: (Vec<u8>, Vec<u8>),
        deadline: Deadline,
    ) -> StoreResult<'_, ()>;
}
