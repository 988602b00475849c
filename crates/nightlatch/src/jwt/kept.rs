//! Keys that the record keeps, sealed.
//!
//! All nodes have to have the same, without anybody having to configure them; and since backups of the
//! record lie in many places, who reads one must not be able to sign.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, Deadline, Entropy, FailureClass, Outcome, Record, RecordClock, SealingKeys, Secret,
    StoreError, StoreErrorKind, StoredKey, Timestamp,
};
use nightlatch_store::seal::Seal;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::timeout;

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

/// An Ed25519 key is derived from as many bytes.
const SEED_BYTES: usize = 32;

/// Reads the keys from the record, and makes the first.
pub struct KeptKeys {
    record: Arc<dyn Record>,
    clock: Arc<RecordClock>,
    entropy: Arc<dyn Entropy>,
    seal: Seal,
    /// Life of the tokens that are signed with them.
    token_life: Duration,
    /// Held while they are read.
    read: Mutex<Read>,
}

/// What came of reading the keys.
#[derive(Default)]
struct Read {
    /// The boot time when they were read last.
    at: Option<Duration>,
    knows_all: bool,
    /// Of how many it was told that not all can be opened.
    told: usize,
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
        Self { record, clock, entropy, seal, token_life, read: Mutex::default() }
    }

    /// Hands on the keys as they are now, unless somebody else has just done so; whether all could be
    /// opened.
    pub(super) async fn learn(
        &self,
        deadline: Deadline,
        hand_on: impl FnOnce(KeySet),
    ) -> Result<bool, StoreError> {
        let clock = self.clock.clock();
        let asked = clock.boottime();
        let mut read = timeout(deadline.remaining(clock), self.read.lock()).await;
        let Ok(read) = &mut read else { return Err(too_late()) };
        if read.at.is_some_and(|at| at >= asked) {
            return Ok(read.knows_all);
        }
        if !self.clock.is_told() {
            return Err(untold());
        }
        let began = clock.boottime();
        let mut stored = self.record.list_keys(deadline).await?;
        let mut opened = self.open(&stored);
        if opened.is_empty() {
            let number = stored.last().map_or(0, |key| key.number).saturating_add(1);
            self.record
                .add_key(self.fresh(number, Duration::ZERO), Actor::node(), deadline)
                .await?;
            // Another node may have been first.
            stored = self.record.list_keys(deadline).await?;
            opened = self.open(&stored);
        }
        read.at = Some(began);
        read.knows_all = opened.len() == stored.len();
        if !read.knows_all && read.told < stored.len() {
            read.told = stored.len();
            let fix = "add the SESSION_SECRET_KEY that it was sealed with to the list";
            tracing::warn!(event = "token.key_not_opened", fix);
        }
        // While nobody else can look: who waits for this must find them.
        hand_on(KeySet::new(self.alive(opened)));
        // A record that takes no change has keys all the same.
        if let Err(error) = self.seal_anew(&stored, deadline).await {
            tracing::debug!(event = "job.postponed", error = %error);
        }
        Ok(read.knows_all)
    }

    /// Seals by all secrets that are configured here, so that it opens wherever one of them is, in
    /// whichever order servers hear of a new one, and back.
    async fn seal_anew(&self, stored: &[StoredKey], deadline: Deadline) -> Result<(), StoreError> {
        for StoredKey { number, sealed, .. } in stored {
            if !self.seal.wants_anew(sealed, SEED_BYTES) {
                continue;
            }
            if let Some(seed) = self.open_seed(*number, sealed) {
                let anew = self.seal.seal_by_all(&place(*number), seed.expose());
                self.record.reseal_key(*number, (sealed.clone(), anew), deadline).await?;
            }
        }
        Ok(())
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// The record's.
    pub async fn list(&self, deadline: Deadline) -> Result<Vec<ListedKey>, StoreError> {
        let stored = self.record.list_keys(deadline).await?;
        let from: Vec<_> = stored.iter().map(|key| key.signs_from).collect();
        let listed = stored.iter().zip(self.states(&from)).map(|(key, state)| ListedKey {
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
    pub async fn rotate(
        &self,
        by: Actor,
        deadline: Deadline,
    ) -> Result<(u32, Timestamp), RotateError> {
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
        let is_added = self.record.add_key(next, by, deadline).await?;
        if is_added { Ok(made) } else { Err(RotateError::Overtaken) }
    }

    /// A new key that signs after a while.
    fn fresh(&self, number: u32, signs_after: Duration) -> StoredKey {
        let mut seed = Secret::new([0; SEED_BYTES]);
        self.entropy.fill(seed.expose_mut());
        let sealed = self.seal.seal_by_all(&place(number), seed.expose());
        let now = self.clock.now();
        StoredKey { number, sealed, stored_at: now, signs_from: now.after(signs_after) }
    }

    /// Those that can be opened here, with the time from which each signs.
    fn open(&self, stored: &[StoredKey]) -> Vec<(Timestamp, SigningKey)> {
        stored.iter().filter_map(|key| Some((key.signs_from, self.open_one(key)?))).collect()
    }

    /// Those whose tokens may still be about. One that this node cannot open has taken over from none.
    fn alive(&self, opened: Vec<(Timestamp, SigningKey)>) -> Vec<(Timestamp, SigningKey)> {
        let from: Vec<_> = opened.iter().map(|(from, _)| *from).collect();
        let states = self.states(&from);
        let alive = opened.into_iter().zip(states).filter(|(_, state)| *state != KeyState::Retired);
        alive.map(|(key, _)| key).collect()
    }

    /// What each key is there for now, by the times from which they sign, in their order.
    fn states(&self, from: &[Timestamp]) -> Vec<KeyState> {
        let now = self.clock.now();
        let ended = now.before(self.token_life + KEPT_AFTER);
        let next = from.iter().skip(1).map(|from| Some(*from)).chain([None]);
        let state = |(from, next): (&Timestamp, Option<Timestamp>)| match next {
            _ if *from > now => KeyState::Next,
            Some(next) if next <= ended => KeyState::Retired,
            Some(next) if next <= now => KeyState::Verifies,
            Some(_) | None => KeyState::Signs,
        };
        from.iter().zip(next).map(state).collect()
    }

    fn open_one(&self, key: &StoredKey) -> Option<SigningKey> {
        SigningKey::ed25519(&self.open_seed(key.number, &key.sealed)?).ok()
    }

    fn open_seed(&self, number: u32, sealed: &[u8]) -> Option<Secret<[u8; SEED_BYTES]>> {
        let seed = self.seal.open_by_any(&place(number), sealed, SEED_BYTES)?;
        seed.try_into().ok().map(Secret::new)
    }
}

/// Others have read the keys for as long as this request may take.
fn too_late() -> StoreError {
    let (kind, class) = (StoreErrorKind::Deadline, FailureClass::Timeout);
    StoreError::new(kind, class, Outcome::NotApplied, "reading the signing keys")
}

/// By a clock that is wrong keys would be given up, or made, that are not to be.
fn untold() -> StoreError {
    let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::Unreachable);
    StoreError::new(kind, class, Outcome::NotApplied, "reading the signing keys before the time")
}

/// What a key is sealed for.
fn place(number: u32) -> Vec<u8> {
    format!("signing-key/{number}").into_bytes()
}
