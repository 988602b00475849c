//! Keys that the record keeps, sealed.
//!
//! All nodes have to have the same, without anybody having to configure them; and since backups of the
//! record lie in many places, who reads one must not be able to sign.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Deadline, Entropy, Record, RecordClock, SealingKeys, Secret, StoreError, StoredKey, Timestamp,
};
use nightlatch_store::seal::{Opened, Seal};
use thiserror::Error;
use tokio::sync::Mutex;

use super::key::SigningKey;
use super::key_set::KeySet;

/// A key is kept for so long after its tokens have ended: who verifies them may have a slow clock.
const KEPT_AFTER: Duration = Duration::from_mins(1);

/// A new key is published for so long before it signs: as long as the public keys may be cached, and
/// until every server has looked again.
const PUBLISHED_FIRST: Duration = Duration::from_mins(6);

/// What a key is there for at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is published, and signs later.
    Next,
    /// It signs.
    Signs,
    /// It signs no more; tokens that it has signed may be about.
    Verifies,
    /// Its tokens have ended.
    Retired,
}

/// A key, as an operator sees it.
#[derive(Clone, Debug)]
pub struct ListedKey {
    /// Which one; the first is 1.
    pub number: u32,
    /// Its `kid`; `None`: it is sealed with a secret that is not configured here.
    pub id: Option<String>,
    /// What it is there for.
    pub state: KeyState,
    /// When it was made.
    pub stored_at: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
}

/// Why no new key was made.
#[derive(Debug, Error)]
pub enum RotateError {
    /// There is none to come after.
    #[error("there is no key yet: the first is made by the first server that starts")]
    NoKey,
    /// One is on its way.
    #[error("key {0} has not begun to sign: rotate again when it does")]
    Waiting(u32),
    /// Servers could not open what this command would seal.
    #[error("key {0} is sealed with another SESSION_SECRET_KEY than the one configured here")]
    OtherSecret(u32),
    /// Somebody else has just done it.
    #[error("another key was made at this moment")]
    Overtaken,
    /// The record gave no answer.
    #[error(transparent)]
    Record(#[from] StoreError),
}

/// Reads the keys from the record, and makes the first.
pub struct KeptKeys {
    record: Arc<dyn Record>,
    clock: Arc<RecordClock>,
    entropy: Arc<dyn Entropy>,
    seal: Seal,
    /// Life of the tokens that are signed with them.
    token_life: Duration,
    /// The boot time when they were read last; held while they are.
    read_at: Mutex<Option<Duration>>,
}

impl KeptKeys {
    /// Those that a record keeps, sealed with keys of ours.
    #[must_use]
    pub fn new(
        record: Arc<dyn Record>,
        (clock, entropy): (Arc<RecordClock>, Arc<dyn Entropy>),
        sealing: &SealingKeys,
        token_life: Duration,
    ) -> Self {
        let seal = Seal::new(sealing, Arc::clone(&entropy));
        Self { record, clock, entropy, seal, token_life, read_at: Mutex::new(None) }
    }

    /// The keys as they are now; `None`: somebody else has just read them.
    pub(super) async fn learn(&self, deadline: Deadline) -> Result<Option<KeySet>, StoreError> {
        let asked = self.clock.clock().boottime();
        let mut read_at = self.read_at.lock().await;
        if read_at.is_some_and(|read_at| read_at >= asked) {
            return Ok(None);
        }
        let began = self.clock.clock().boottime();
        let mut stored = self.record.list_keys(deadline).await?;
        let mut keys = self.open(&stored);
        if keys.is_empty() {
            let number = stored.last().map_or(0, |key| key.number).saturating_add(1);
            self.record.add_key(self.fresh(number, Duration::ZERO), deadline).await?;
            // Another node may have been first.
            stored = self.record.list_keys(deadline).await?;
            keys = self.open(&stored);
        }
        *read_at = Some(began);
        Ok(Some(KeySet::new(keys)))
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// The record's.
    pub async fn list(&self, deadline: Deadline) -> Result<Vec<ListedKey>, StoreError> {
        let stored = self.record.list_keys(deadline).await?;
        let listed = self.with_states(&stored).map(|(key, state)| ListedKey {
            number: key.number,
            id: self.open_one(key).map(|key| key.id),
            state,
            stored_at: key.stored_at,
            signs_from: key.signs_from,
        });
        Ok(listed.collect())
    }

    /// Makes the next key: published at once, it signs a while later. Its number, and from when on.
    ///
    /// # Errors
    /// [`RotateError`]
    pub async fn rotate(&self, deadline: Deadline) -> Result<(u32, Timestamp), RotateError> {
        let stored = self.record.list_keys(deadline).await?;
        let last = stored.last().ok_or(RotateError::NoKey)?;
        if last.signs_from > self.clock.now() {
            return Err(RotateError::Waiting(last.number));
        }
        if self.open_one(last).is_none() {
            return Err(RotateError::OtherSecret(last.number));
        }
        let next = self.fresh(last.number.saturating_add(1), PUBLISHED_FIRST);
        let made = (next.number, next.signs_from);
        let is_added = self.record.add_key(next, deadline).await?;
        if is_added { Ok(made) } else { Err(RotateError::Overtaken) }
    }

    /// A new key that signs after a while.
    fn fresh(&self, number: u32, signs_after: Duration) -> StoredKey {
        let mut seed = Secret::new([0; 32]);
        self.entropy.fill(seed.expose_mut());
        let sealed = self.seal.seal(&place(number), seed.expose().to_vec());
        let now = self.clock.now();
        StoredKey { number, sealed, stored_at: now, signs_from: now.after(signs_after) }
    }

    /// Those whose tokens may still be about.
    fn open(&self, stored: &[StoredKey]) -> Vec<(Timestamp, SigningKey)> {
        let alive = self.with_states(stored).filter(|(_, state)| *state != KeyState::Retired);
        let opened = alive.filter_map(|(key, _)| {
            let opened = self.open_one(key);
            if opened.is_none() {
                let fix = "add the SESSION_SECRET_KEY that it was sealed with to the list";
                tracing::warn!(event = "token.key_not_opened", number = key.number, fix);
            }
            Some((key.signs_from, opened?))
        });
        opened.collect()
    }

    /// Each with what it is there for now.
    fn with_states<'a>(
        &self,
        stored: &'a [StoredKey],
    ) -> impl Iterator<Item = (&'a StoredKey, KeyState)> {
        let now = self.clock.now();
        let ended = now.before(self.token_life + KEPT_AFTER);
        let next = stored.iter().skip(1).map(|key| Some(key.signs_from)).chain([None]);
        stored.iter().zip(next).map(move |(key, next)| {
            let state = match next {
                _ if key.signs_from > now => KeyState::Next,
                Some(next) if next <= ended => KeyState::Retired,
                Some(next) if next <= now => KeyState::Verifies,
                Some(_) | None => KeyState::Signs,
            };
            (key, state)
        })
    }

    fn open_one(&self, key: &StoredKey) -> Option<SigningKey> {
        let mut sealed = key.sealed.clone();
        let opened = match self.seal.open(&place(key.number), &mut sealed) {
            Opened::Text(text) => <[u8; 32]>::try_from(text).ok(),
            Opened::UnknownKey | Opened::Forged => None,
        };
        opened.and_then(|seed| SigningKey::ed25519(&Secret::new(seed)).ok())
    }
}

/// What a key is sealed for.
fn place(number: u32) -> Vec<u8> {
    format!("signing-key/{number}").into_bytes()
}
