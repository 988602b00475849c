//! A key that access tokens are signed with.

use std::fmt;

use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use nightlatch_core::Secret;
use thiserror::Error;

/// The most keys of a configuration: a rotation needs three.
const KEYS_MAX: usize = 8;

/// What stands in front of the 32 bytes of a private key of Ed25519 (RFC 8410, 7).
const ED25519_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A private key with its public half.
#[derive(Clone)]
pub struct SigningKey {
    /// The JWK thumbprint (RFC 7638): every node gives a key the same id.
    pub(super) id: String,
    pub(super) algorithm: Algorithm,
    pub(super) signing: EncodingKey,
    pub(super) verifying: DecodingKey,
    pub(super) public: Jwk,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a text holds no keys.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// No PEM block.
    #[error("holds no private key in PEM")]
    NoPem,
    /// Too many.
    #[error("holds more than {KEYS_MAX} keys")]
    TooMany,
    /// None of the three. What the library takes of RSA cannot be factored (NIST SP 800-131A).
    #[error("holds a key that is none of Ed25519, P-256 and RSA of 2048 bits or more, in PKCS#8")]
    Unusable,
}

impl SigningKey {
    /// Ed25519 from its 32 secret bytes.
    pub(super) fn ed25519(seed: &Secret<[u8; 32]>) -> Result<Self, KeyError> {
        let mut der = Secret::new([0; 48]);
        der.expose_mut()[..16].copy_from_slice(&ED25519_PREFIX);
        der.expose_mut()[16..].copy_from_slice(seed.expose());
        Self::new(Algorithm::EdDSA, EncodingKey::from_ed_der(der.expose()))
    }

    /// The keys of a text of PEM blocks, the signing one first.
    ///
    /// # Errors
    /// [`KeyError`], for the first that cannot be used.
    pub fn of_pem(text: &str) -> Result<Vec<Self>, KeyError> {
        // As an environment variable is often written.
        let text = if text.contains('\n') { text.to_owned() } else { text.replace("\\n", "\n") };
        let text = Secret::new(text);
        let blocks: Vec<_> = blocks(text.expose()).collect();
        match blocks.len() {
            0 => Err(KeyError::NoPem),
            1..=KEYS_MAX => blocks.into_iter().map(Self::of_block).collect(),
            _ => Err(KeyError::TooMany),
        }
    }

    fn of_block(block: &str) -> Result<Self, KeyError> {
        let block = block.as_bytes();
        if let Ok(key) = EncodingKey::from_ed_pem(block) {
            return Self::new(Algorithm::EdDSA, key);
        }
        if let Ok(key) = EncodingKey::from_ec_pem(block) {
            return Self::new(Algorithm::ES256, key);
        }
        let key = EncodingKey::from_rsa_pem(block).map_err(|_| KeyError::Unusable)?;
        Self::new(Algorithm::RS256, key)
    }

    fn new(algorithm: Algorithm, signing: EncodingKey) -> Result<Self, KeyError> {
        let unusable = |_| KeyError::Unusable;
        let mut public = Jwk::from_encoding_key(&signing, algorithm).map_err(unusable)?;
        let verifying = DecodingKey::from_jwk(&public).map_err(unusable)?;
        let id = public.thumbprint(ThumbprintHash::SHA256).map_err(unusable)?;
        public.common.key_id = Some(id.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { id, algorithm, signing, verifying, public })
    }
}

/// The blocks of a PEM text (RFC 7468), each with its lines of beginning and end.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let begins = text.match_indices("-----BEGIN ").map(|(at, _)| at);
    begins.filter_map(|at| {
        let block = &text[at..];
        let end = block.find("-----END ")?;
        let rest = &block[end + "-----END ".len()..];
        let close = rest.find("-----")? + "-----".len();
        Some(&block[..end + "-----END ".len() + close])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart_and_have_the_same_id_everywhere() {
        let seed = Secret::new([7; 32]);
        let (one, same) = (SigningKey::ed25519(&seed), SigningKey::ed25519(&seed));
        let (one, same) = (one.expect("it is a key"), same.expect("it is a key"));
        assert_eq!(one.id, same.id);
        assert_eq!(one.id.len(), 43);
        let other = SigningKey::ed25519(&Secret::new([8; 32])).expect("it is a key");
        assert_ne!(one.id, other.id);
        assert!(!format!("{one:?}").contains("PRIVATE"));
    }

    const KIND: &str = "PRIVATE KEY";

    #[test]
    fn what_is_no_key_says_so() {
        let begin = format!("-----BEGIN {KIND}-----\nAAAA\n");
        let block = format!("{begin}-----END {KIND}-----\n");
        for (text, error) in [
            ("", KeyError::NoPem),
            ("secret", KeyError::NoPem),
            (&begin, KeyError::NoPem),
            (&block, KeyError::Unusable),
            (&block.repeat(9), KeyError::TooMany),
        ] {
            assert_eq!(SigningKey::of_pem(text).err(), Some(error), "{text}");
        }
    }
}
