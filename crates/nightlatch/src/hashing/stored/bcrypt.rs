//! bcrypt: the hashes of most other systems.
//!
//! The algorithm sees 72 bytes and ends at a NUL. Cutting a longer password there would let
//! everybody in who knows its beginning, so such passwords are refused; Django's `bcrypt_sha256`
//! hashes a digest and takes any.

use std::fmt::Write;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{StoredHashError, same};

/// What the algorithm sees of a password, in bytes.
const PASSWORD_BYTES_MAX: usize = 72;
/// The cheapest cost that the algorithm has.
const COST_MIN: u32 = 4;
/// The dearest cost that is verified: each step doubles, and this one is about two seconds of one
/// core.
const COST_MAX: u32 = 15;

const SALT_BYTES: usize = 16;
const SALT_CHARS: usize = 22;
/// The algorithm makes 24 bytes; every implementation stores 23.
const TAG_BYTES: usize = 23;
const TAG_CHARS: usize = 31;

const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);

/// What is hashed in place of a password.
#[derive(Clone, Copy, Debug)]
enum Input {
    /// The password itself.
    Password,
    /// The hexadecimal digits of its SHA-256.
    Sha256Hex,
}

/// A stored bcrypt hash.
#[derive(Debug)]
pub(in crate::hashing) struct BcryptHash {
    input: Input,
    cost: u32,
    salt: [u8; SALT_BYTES],
    tag: [u8; TAG_BYTES],
}

impl BcryptHash {
    /// Django's `bcrypt$` before the usual text, which begins with a `$` of its own.
    pub(super) fn parse_django(rest: &str) -> Result<Self, StoredHashError> {
        Self::parse(rest.strip_prefix('$').ok_or(StoredHashError::Malformed)?)
    }

    /// Django's `bcrypt_sha256$` before the usual text.
    pub(super) fn parse_django_sha256(rest: &str) -> Result<Self, StoredHashError> {
        Ok(Self { input: Input::Sha256Hex, ..Self::parse_django(rest)? })
    }

    /// `2b$12$` and 53 characters. The prefixes 2a, 2b and 2y differ in bugs that passwords of up
    /// to 72 bytes never met; 2x is another algorithm.
    pub(super) fn parse(rest: &str) -> Result<Self, StoredHashError> {
        let fields: Vec<&str> = rest.split('$').collect();
        let ["2a" | "2b" | "2y", cost, salt_and_tag] = fields.as_slice() else {
            return Err(StoredHashError::Malformed);
        };
        let cost = parse_cost(cost)?;
        if salt_and_tag.len() != SALT_CHARS + TAG_CHARS || !salt_and_tag.is_ascii() {
            return Err(StoredHashError::Malformed);
        }
        let (salt, tag) = salt_and_tag.split_at(SALT_CHARS);
        Ok(Self { input: Input::Password, cost, salt: decode(salt)?, tag: decode(tag)? })
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        match self.input {
            Input::Password => self.verify_input(password),
            Input::Sha256Hex => self.verify_input(sha256_hex(password).as_bytes()),
        }
    }

    /// Rounds: what decides the time.
    #[cfg(test)]
    pub(super) fn cost(&self) -> u64 {
        1 << self.cost
    }

    fn verify_input(&self, input: &[u8]) -> bool {
        if input.len() > PASSWORD_BYTES_MAX || input.contains(&0) {
            return false;
        }
        // The algorithm takes the NUL behind the password too, where there is room for it.
        let mut padded = Zeroizing::new([0; PASSWORD_BYTES_MAX]);
        padded[..input.len()].copy_from_slice(input);
        let used = PASSWORD_BYTES_MAX.min(input.len() + 1);
        let computed = bcrypt::bcrypt(self.cost, self.salt, &padded[..used]);
        same(&computed[..TAG_BYTES], &self.tag)
    }
}

/// Two digits; those past the limit are told from those that are none.
fn parse_cost(text: &str) -> Result<u32, StoredHashError> {
    if text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(StoredHashError::Malformed);
    }
    let cost = text.parse().map_err(|_| StoredHashError::Malformed)?;
    match cost {
        COST_MIN..=COST_MAX => Ok(cost),
        0..COST_MIN => Err(StoredHashError::Malformed),
        _ => Err(StoredHashError::TooExpensive),
    }
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], StoredHashError> {
    let bytes = BASE64.decode(text).map_err(|_| StoredHashError::Malformed)?;
    bytes.try_into().map_err(|_| StoredHashError::Malformed)
}

fn sha256_hex(password: &[u8]) -> Zeroizing<String> {
    let mut hex = Zeroizing::new(String::with_capacity(64));
    for byte in Sha256::digest(password) {
        write!(hex, "{byte:02x}").expect("a String takes everything");
    }
    hex
}
