//! Sealing: what lies in Redis, or a key in the record, can be read and written by whoever has access
//! to it, so it is encrypted, and opens only in the place that it was sealed for.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use nightlatch_core::{Entropy, SealingKeys};

/// The id of the key, the nonce, and the tag behind the text.
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// What sealing adds to a text, in bytes.
pub const OVERHEAD: usize = KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES;

/// Seals and opens, by all keys of a rotation. AES-256-GCM-SIV (RFC 8452), which a nonce that
/// chance repeats does not break.
///
/// Nonces are the system's own chance: the library's needs tens of milliseconds of a core for the
/// first one on each thread, which requests would wait for.
pub struct Seal {
    keys: Vec<([u8; KEY_ID_BYTES], LessSafeKey)>,
    entropy: Arc<dyn Entropy>,
}

/// What a sealed value turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// This text.
    Text(&'a [u8]),
    /// Sealed by a key that this node does not have: keys are being rotated, or it is somebody else's.
    UnknownKey,
    /// Not what was sealed for this place.
    Forged,
}

impl Seal {
    /// By these keys, the sealing one first.
    #[must_use]
    pub fn new(keys: &SealingKeys, entropy: Arc<dyn Entropy>) -> Self {
        let keys = keys.as_slice().iter().map(|key| {
            let sealing = UnboundKey::new(&AES_256_GCM_SIV, key.key.expose());
            let sealing = sealing.expect("a key of 256 bits is what the algorithm takes");
            (key.id, LessSafeKey::new(sealing))
        });
        Self { keys: keys.collect(), entropy }
    }

    /// Seals a text for a place.
    #[must_use]
    pub fn seal(&self, place: &[u8], text: Vec<u8>) -> Vec<u8> {
        self.seal_by(0, place, text)
    }

    /// Seals a text for a place by each of the keys, one behind the other: whoever has one of them opens it.
    #[must_use]
    pub fn seal_by_all(&self, place: &[u8], text: &[u8]) -> Vec<u8> {
        let each = (0..self.keys.len()).map(|number| self.seal_by(number, place, text.to_vec()));
        each.collect::<Vec<_>>().concat()
    }

    fn seal_by(&self, number: usize, place: &[u8], mut text: Vec<u8>) -> Vec<u8> {
        let (id, key) = &self.keys[number];
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce);
        let once = Nonce::assume_unique_for_key(nonce);
        let done = key.seal_in_place_append_tag(once, Aad::from(place), &mut text);
        done.expect("the algorithm takes far more than any text here is long");
        let mut sealed = Vec::with_capacity(KEY_ID_BYTES + NONCE_BYTES + text.len());
        sealed.extend_from_slice(id);
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut text);
        sealed
    }

    /// Opens a text of so many bytes that several keys may have sealed, one behind the other; `None`: none of
    /// ours has.
    #[must_use]
    pub fn open_by_any(&self, place: &[u8], sealed: &[u8], length: usize) -> Option<Vec<u8>> {
        sealed.chunks(OVERHEAD + length).find_map(|part| {
            match self.open(place, &mut part.to_vec()) {
                Opened::Text(text) => Some(text.to_vec()),
                Opened::UnknownKey | Opened::Forged => None,
            }
        })
    }

    /// Whether a text of so many bytes is to be sealed anew by all of these keys: one of them has not sealed
    /// it, or a key that is none of these has and the first one is ours. Who has an older list than those
    /// that sealed it takes nothing from them.
    #[must_use]
    pub fn wants_anew(&self, sealed: &[u8], length: usize) -> bool {
        let parts = sealed.chunks(OVERHEAD + length);
        let is_whole = parts.clone().all(|part| part.len() == OVERHEAD + length);
        let named: Vec<&[u8]> = parts.filter_map(|part| part.get(..KEY_ID_BYTES)).collect();
        let is_ours = |id: &&[u8]| self.keys.iter().any(|(known, _)| known == id);
        let lacks_one = !self.keys.iter().all(|(id, _)| named.contains(&&id[..]));
        let has_another = !named.iter().all(is_ours);
        let is_newest = named.first().is_some_and(|first| *first == self.keys[0].0);
        !is_whole || lacks_one || (has_another && is_newest)
    }

    /// Opens, in place, what was sealed for a place.
    pub fn open<'a>(&self, place: &[u8], sealed: &'a mut [u8]) -> Opened<'a> {
        if sealed.len() < OVERHEAD {
            return Opened::Forged;
        }
        let (id, rest) = sealed.split_at_mut(KEY_ID_BYTES);
        let (nonce, text) = rest.split_at_mut(NONCE_BYTES);
        let Some((_, key)) = self.keys.iter().find(|(known, _)| known == id) else {
            return Opened::UnknownKey;
        };
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("it has the length of a nonce");
        match key.open_in_place(nonce, Aad::from(place), text) {
            Ok(text) => Opened::Text(text),
            Err(_) => Opened::Forged,
        }
    }
}

#[cfg(test)]
mod tests {
    use nightlatch_core::{MasterKeys, Secret, SystemEntropy};

    use super::*;

    fn seal(secrets: &[&str]) -> Seal {
        let secrets = secrets.iter().map(|text| Secret::new(text.as_bytes().to_vec())).collect();
        let masters = MasterKeys::try_new(secrets).expect("a short list");
        Seal::new(&SealingKeys::derive(&masters, "copy"), Arc::new(SystemEntropy))
    }

    #[test]
    fn it_opens_in_its_own_place_only_and_with_any_key_of_the_rotation() {
        let old = seal(&["old"]);
        let sealed = old.seal(b"here", b"text".to_vec());
        assert_eq!(sealed.len(), 4 + OVERHEAD);
        for (what, by, place, expected) in [
            ("its place", seal(&["old"]), "here", Opened::Text(b"text")),
            ("a rotation", seal(&["new", "old"]), "here", Opened::Text(b"text")),
            ("another place", seal(&["old"]), "there", Opened::Forged),
            ("another key", seal(&["new"]), "here", Opened::UnknownKey),
        ] {
            assert_eq!(by.open(place.as_bytes(), &mut sealed.clone()), expected, "{what}");
        }
    }

    #[test]
    fn what_all_keys_have_sealed_opens_with_each_of_them() {
        let both = seal(&["new", "old"]);
        let sealed = both.seal_by_all(b"here", b"text");
        for key in ["new", "old"] {
            let opened = seal(&[key]).open_by_any(b"here", &sealed, 4);
            assert_eq!(opened.as_deref(), Some(&b"text"[..]), "{key}");
        }
        assert_eq!(seal(&["older"]).open_by_any(b"here", &sealed, 4), None);
        let (one, other) = sealed.split_at(4 + OVERHEAD);
        assert_eq!(seal(&["new"]).open(b"here", &mut one.to_vec()), Opened::Text(b"text"));
        assert_eq!(seal(&["old"]).open(b"here", &mut other.to_vec()), Opened::Text(b"text"));
        for (keys, wants) in [
            (&["new", "old"][..], false),
            (&["old", "new"], false),
            // Rolled back, while others have both.
            (&["old"], false),
            // The old one has been dropped.
            (&["new"], true),
            (&["newer", "new", "old"], true),
            (&["older"], true),
        ] {
            assert_eq!(seal(keys).wants_anew(&sealed, 4), wants, "{keys:?}");
        }
        assert!(both.wants_anew(&[], 4) && both.wants_anew(&sealed[..sealed.len() - 1], 4));
    }

    #[test]
    fn whatever_was_changed_does_not_open() {
        let seal = seal(&["key"]);
        let sealed = seal.seal(b"here", b"text".to_vec());
        for at in KEY_ID_BYTES..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(b"here", &mut changed), Opened::Forged, "byte {at}");
        }
        for length in 0..sealed.len() {
            let mut cut = sealed[..length].to_vec();
            assert_eq!(seal.open(b"here", &mut cut), Opened::Forged, "{length} bytes");
        }
    }
}
