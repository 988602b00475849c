//! PBKDF2: what Django stores unless told otherwise (RFC 8018).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::Sha256;

use super::{StoredHashError, decimal, salted, same};

/// The most rounds that are verified: about two seconds of a core without SHA instructions, and
/// five times what Django chose in 2025.
const ROUNDS_MAX: u32 = 5_000_000;

/// The hash function beneath.
#[derive(Clone, Copy, Debug)]
enum Digest {
    Sha256,
    Sha1,
}

/// A stored PBKDF2 hash.
#[derive(Debug)]
pub(in crate::hashing) struct Pbkdf2Hash {
    digest: Digest,
    rounds: u32,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

impl Pbkdf2Hash {
    pub(super) fn parse_django_sha256(rest: &str) -> Result<Self, StoredHashError> {
        Self::parse_django(rest, Digest::Sha256, 32)
    }

    pub(super) fn parse_django_sha1(rest: &str) -> Result<Self, StoredHashError> {
        Self::parse_django(rest, Digest::Sha1, 20)
    }

    /// `600000$salt$tag`: the salt is plain text, the tag as long as the digest.
    fn parse_django(rest: &str, digest: Digest, tag_bytes: usize) -> Result<Self, StoredHashError> {
        let fields: Vec<&str> = rest.split('$').collect();
        let [rounds, salt, tag] = fields.as_slice() else {
            return Err(StoredHashError::Malformed);
        };
        let rounds = decimal(rounds)?;
        if rounds > ROUNDS_MAX {
            return Err(StoredHashError::TooExpensive);
        }
        let salt = salted(salt.as_bytes().to_vec())?;
        let tag = STANDARD.decode(tag).map_err(|_| StoredHashError::Malformed)?;
        if rounds == 0 || tag.len() != tag_bytes {
            return Err(StoredHashError::Malformed);
        }
        Ok(Self { digest, rounds, salt, tag })
    }

    /// Rounds: what decides the time.
    #[cfg(test)]
    pub(super) fn cost(&self) -> u64 {
        u64::from(self.rounds)
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut tag = vec![0; self.tag.len()];
        match self.digest {
            Digest::Sha256 => {
                pbkdf2::pbkdf2_hmac::<Sha256>(password, &self.salt, self.rounds, &mut tag);
            }
            Digest::Sha1 => {
                pbkdf2::pbkdf2_hmac::<Sha1>(password, &self.salt, self.rounds, &mut tag);
            }
        }
        same(&tag, &self.tag)
    }
}
