//! Keys of counters that nodes keep together somewhere else: what is counted there shows nobody whom
//! it counts, and what others put there is told from what we did.

use uuid::Uuid;

use super::ThrottleKey;
use crate::MasterKeys;
use crate::key::MacKeys;

/// Names counters and tags what is counted.
#[derive(Clone)]
pub struct CounterKeys(MacKeys);

/// The tag of an entry, with the id of the key that made it.
pub const ENTRY_TAG_BYTES: usize = 20;

impl CounterKeys {
    /// Derives the keys.
    #[must_use]
    pub fn new(masters: &MasterKeys) -> Self {
        Self(MacKeys::derive(masters, "counter"))
    }

    /// By what name a record's counter is kept. While keys are being rotated nodes may know it by two.
    #[must_use]
    pub fn name(&self, record: Uuid, key: &ThrottleKey) -> [u8; 16] {
        self.0.sign(&[b"name", &counter(record, key)]).1
    }

    /// The tag of an entry of a counter.
    #[must_use]
    pub fn tag(&self, record: Uuid, key: &ThrottleKey, entry: &[u8]) -> [u8; ENTRY_TAG_BYTES] {
        let (id, tag) = self.0.sign(&[b"entry", &counter(record, key), entry]);
        let mut both = [0; ENTRY_TAG_BYTES];
        both[..4].copy_from_slice(&id);
        both[4..].copy_from_slice(&tag);
        both
    }

    /// Whether an entry of this counter bears a tag of ours.
    #[must_use]
    pub fn verify(
        &self,
        record: Uuid,
        key: &ThrottleKey,
        (entry, tag): (&[u8], &[u8; ENTRY_TAG_BYTES]),
    ) -> bool {
        let [a, b, c, d, tag @ ..] = tag;
        let parts: [&[u8]; 3] = [b"entry", &counter(record, key), entry];
        self.0.verify([*a, *b, *c, *d], tag, &parts).unwrap_or(false)
    }
}

/// Which counter of which record.
fn counter(record: Uuid, key: &ThrottleKey) -> [u8; 33] {
    let mut counter = [0; 33];
    counter[..16].copy_from_slice(record.as_bytes());
    counter[16] = key.scope as u8;
    counter[17..].copy_from_slice(&key.digest);
    counter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Secret, ThrottleScope};

    #[test]
    fn an_entry_is_good_in_its_counter_of_its_record_alone() {
        let masters = MasterKeys::try_new(vec![Secret::new(b"secret".to_vec())]);
        let keys = CounterKeys::new(&masters.expect("one secret"));
        let (record, key) = (Uuid::from_u128(1), ThrottleKey::new(ThrottleScope::Login, [1; 16]));
        let tag = keys.tag(record, &key, b"entry");
        assert!(keys.verify(record, &key, (b"entry", &tag)));
        let other = ThrottleKey::new(ThrottleScope::Device, [1; 16]);
        assert!(!keys.verify(record, &other, (b"entry", &tag)));
        assert!(!keys.verify(Uuid::from_u128(2), &key, (b"entry", &tag)));
        assert!(!keys.verify(record, &key, (b"entrz", &tag)));
        assert_ne!(keys.name(record, &key), keys.name(record, &other));
    }
}
