//! Keys that the record keeps, sealed: all nodes have the same, and who reads the record has none.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Deadline, Entropy, Record, RecordClock, SealingKeys, Secret, StoreError, StoredKey,
};
use nightlatch_store::seal::{Opened, Seal};
use tokio::sync::Mutex;

use super::key::SigningKey;
use super::key_set::KeySet;

/// A key is kept for so long after its tokens have ended: who verifies them may have a slow clock.
const KEPT_AFTER: Duration = Duration::from_mins(1);

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

    /// A new key that signs after a while.
    fn fresh(&self, number: u32, signs_after: Duration) -> StoredKey {
        let mut seed = Secret::new([0; 32]);
        self.entropy.fill(seed.expose_mut());
        let sealed = self.seal.seal(&place(number), seed.expose().to_vec());
        let now = self.clock.now();
        StoredKey { number, sealed, stored_at: now, signs_from: now.after(signs_after) }
    }

    /// Those whose tokens may still be about.
    fn open(&self, stored: &[StoredKey]) -> Vec<(nightlatch_core::Timestamp, SigningKey)> {
        let ended = self.clock.now().before(self.token_life + KEPT_AFTER);
        let next = stored.iter().skip(1).map(|key| Some(key.signs_from)).chain([None]);
        let alive = stored.iter().zip(next).filter(|(_, next)| next.is_none_or(|at| at > ended));
        alive.filter_map(|(key, _)| Some((key.signs_from, self.open_one(key)?))).collect()
    }

    fn open_one(&self, key: &StoredKey) -> Option<SigningKey> {
        let mut sealed = key.sealed.clone();
        let opened = match self.seal.open(&place(key.number), &mut sealed) {
            Opened::Text(text) => <[u8; 32]>::try_from(text).ok(),
            Opened::UnknownKey | Opened::Forged => None,
        };
        let key_of = opened.and_then(|seed| SigningKey::ed25519(&Secret::new(seed)).ok());
        if key_of.is_none() {
            tracing::warn!(
                event = "token.key_not_opened",
                number = key.number,
                fix = "add the SESSION_SECRET_KEY that it was sealed with to the list"
            );
        }
        key_of
    }
}

/// What a key is sealed for.
fn place(number: u32) -> Vec<u8> {
    format!("signing-key/{number}").into_bytes()
}
