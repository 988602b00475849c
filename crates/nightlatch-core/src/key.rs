//! Keys: every use has its own, derived from the session secret by HKDF with a label (RFC 5869).
//!
//! Secrets are a list so that they can be rotated without signing anybody out: the first signs,
//! all verify. A key is told by an id of four bytes that is derived like the key itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::Secret;

/// The configured secrets, newest first.
#[derive(Clone, Debug)]
pub struct MasterKeys(Vec<Secret<Vec<u8>>>);

/// Why a list of secrets was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// Nothing to sign with.
    #[error("there is no secret to sign with")]
    Empty,
    /// More than a rotation needs.
    #[error("at most {} secrets are possible", MasterKeys::COUNT_MAX)]
    TooMany,
}

impl MasterKeys {
    /// The most secrets of a list; a rotation needs three.
    pub const COUNT_MAX: usize = 8;

    /// Takes the secrets, the signing one first.
    ///
    /// # Errors
    /// [`KeyError`] when there is none or there are too many.
    pub fn try_new(secrets: Vec<Secret<Vec<u8>>>) -> Result<Self, KeyError> {
        if secrets.is_empty() {
            return Err(KeyError::Empty);
        }
        if secrets.len() > Self::COUNT_MAX {
            return Err(KeyError::TooMany);
        }
        Ok(Self(secrets))
    }
}

/// A key's id: tells which key of a list made a tag. Not secret.
pub type KeyId = [u8; 4];

/// A tag of 128 bits: forging one takes 2^127 tries on average, each of them online.
pub(crate) type Tag = [u8; 16];

const KEY_ID_BYTES: usize = size_of::<KeyId>();
const MARK_BYTES: usize = KEY_ID_BYTES + size_of::<Tag>();

/// The keys of one use: the first signs, all verify.
#[derive(Clone)]
pub struct MacKeys(Vec<MacKey>);

#[derive(Clone)]
struct MacKey {
    id: KeyId,
    // The keyed state, cloned for every tag: half the work of keying again.
    keyed: Hmac<Sha256>,
}

impl MacKeys {
    /// Derives the keys of the use called `label`.
    #[must_use]
    pub fn derive(masters: &MasterKeys, label: &str) -> Self {
        Self(masters.0.iter().map(|master| MacKey::derive(master, label)).collect())
    }

    /// Tags `parts` with the signing key.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> (KeyId, Tag) {
        (self.id_at(0), self.sign_at(0, parts))
    }

    /// Tags `parts` with the key of a number, of those that there are.
    pub(crate) fn sign_at(&self, number: usize, parts: &[&[u8]]) -> Tag {
        self.0[number].tag(parts)
    }

    /// The id of the key of a number, of those that there are.
    pub(crate) fn id_at(&self, number: usize) -> KeyId {
        self.0[number].id
    }

    /// The ids of all keys, the signing one first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.iter().map(|key| key.id)
    }

    /// The number of a key; `None` if it is not ours.
    pub(crate) fn position(&self, id: KeyId) -> Option<usize> {
        self.0.iter().position(|key| key.id == id)
    }

    /// Whether `tag` is the tag of `parts` under the key `id`; `None` if the key is not ours.
    pub(crate) fn verify(&self, id: KeyId, tag: &[u8], parts: &[&[u8]]) -> Option<bool> {
        let key = self.0.iter().find(|key| key.id == id)?;
        Some(key.tag(parts).ct_eq(tag).into())
    }

    /// A tag of `parts` with the id of its key, as text.
    pub(crate) fn mark(&self, parts: &[&[u8]]) -> String {
        let (id, tag) = self.sign(parts);
        let mut bytes = [0; MARK_BYTES];
        bytes[..KEY_ID_BYTES].copy_from_slice(&id);
        bytes[KEY_ID_BYTES..].copy_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether `text` is what [`Self::mark`] says of `parts`, in constant time.
    pub(crate) fn is_mark(&self, text: &str, parts: &[&[u8]]) -> bool {
        let mut bytes = [0; MARK_BYTES];
        if URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(MARK_BYTES) {
            return false;
        }
        let mut id = KeyId::default();
        id.copy_from_slice(&bytes[..KEY_ID_BYTES]);
        self.verify(id, &bytes[KEY_ID_BYTES..], parts) == Some(true)
    }
}

/// The keys by which values are sealed that go through other hands: the first seals, all open.
#[derive(Clone, Debug)]
pub struct SealingKeys(Vec<SealingKey>);

/// A key of 256 bits, with the id by which a sealed value names it.
#[derive(Clone, Debug)]
pub struct SealingKey {
    /// Not secret.
    pub id: [u8; 4],
    /// For an AEAD.
    pub key: Secret<[u8; 32]>,
}

impl SealingKeys {
    /// Derives the keys of the use called `label`.
    #[must_use]
    pub fn derive(masters: &MasterKeys, label: &str) -> Self {
        let keys = masters.0.iter().map(|master| {
            let (id, key) = derive(master, label);
            SealingKey { id, key }
        });
        Self(keys.collect())
    }

    /// The keys, the sealing one first: one at least.
    #[must_use]
    pub fn as_slice(&self) -> &[SealingKey] {
        &self.0
    }
}

/// The key of a use, and its id.
fn derive(master: &Secret<Vec<u8>>, label: &str) -> (KeyId, Secret<[u8; 32]>) {
    let hkdf = Hkdf::<Sha256>::new(None, master.expose());
    let expand = |purpose: &str, out: &mut [u8]| {
        hkdf.expand_multi_info(&[b"nightlatch/v1/", label.as_bytes(), purpose.as_bytes()], out)
            .expect("at most 32 bytes are asked of HKDF, which gives 8160");
    };
    let mut id = KeyId::default();
    expand("/id", &mut id);
    let mut key = Secret::new([0_u8; 32]);
    expand("/key", key.expose_mut());
    (id, key)
}

impl MacKey {
    fn derive(master: &Secret<Vec<u8>>, label: &str) -> Self {
        let (id, key) = derive(master, label);
        let keyed =
            Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes any key length");
        Self { id, keyed }
    }

    fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut mac = self.keyed.clone();
        for part in parts {
            // Lengths go in too, or ("ab", "c") and ("a", "bc") would have the same tag.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let full = mac.finalize().into_bytes();
        let mut tag = Tag::default();
        tag.copy_from_slice(&full[..16]);
        tag
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn masters(secrets: &[&str]) -> MasterKeys {
        let secrets = secrets.iter().map(|s| Secret::new(s.as_bytes().to_vec())).collect();
        MasterKeys::try_new(secrets).expect("a short list")
    }

    #[test]
    fn every_use_and_every_secret_has_its_own_key() {
        let both = MacKeys::derive(&masters(&["new", "old"]), "a");
        let old = MacKeys::derive(&masters(&["old"]), "a");
        let other_use = MacKeys::derive(&masters(&["old"]), "b");
        let (id, tag) = old.sign(&[b"x"]);
        assert_eq!(both.verify(id, &tag, &[b"x"]), Some(true));
        assert_eq!(both.verify(id, &tag, &[b"y"]), Some(false));
        assert_eq!(other_use.verify(id, &tag, &[b"x"]), None);
        assert_ne!(both.sign(&[b"x"]).0, id);
    }

    #[test]
    fn parts_cannot_be_shifted() {
        let keys = MacKeys::derive(&masters(&["k"]), "a");
        assert_ne!(keys.sign(&[b"ab", b"c"]), keys.sign(&[b"a", b"bc"]));
    }
}
