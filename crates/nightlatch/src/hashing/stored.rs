//! Stored hashes: what may be verified, and how.
//!
//! A stored hash comes from another system or from a damaged record, so it says itself how much
//! work it wants. The limits here are checked before any of it is done: without them one row with
//! a cost of 31 would keep a thread busy for days.

pub(super) mod argon2;
mod bcrypt;
mod pbkdf2;
mod scrypt;

use nightlatch_core::{HashKind, PasswordHash};
use subtle::ConstantTimeEq;
use thiserror::Error;

use self::argon2::Argon2Hash;
use self::bcrypt::BcryptHash;
use self::pbkdf2::Pbkdf2Hash;
use self::scrypt::ScryptHash;
use super::memory::{Memory, OutOfMemory};

/// Why a stored hash can never be verified.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StoredHashError {
    /// No format that is known: another algorithm, an unusable password, or no hash at all.
    #[error("it is not in a format that can be verified")]
    Unknown,
    /// A known format with something in it that cannot be.
    #[error("it is damaged")]
    Malformed,
    /// The same password would always have the same hash.
    #[error("it has no salt")]
    Unsalted,
    /// Verifying would take longer than a login may.
    #[error("verifying it would cost too much")]
    TooExpensive,
}

/// Says whether a stored hash can be verified, without hashing.
///
/// # Errors
/// [`StoredHashError`] with the reason, which never holds a part of the text.
pub fn check_stored(hash: &PasswordHash) -> Result<(), StoredHashError> {
    Stored::parse(hash.expose()).map(drop)
}

/// A stored hash that is well-formed, salted and within the limits.
#[derive(Debug)]
pub(super) enum Stored {
    Argon2(Argon2Hash),
    Bcrypt(BcryptHash),
    Pbkdf2(Pbkdf2Hash),
    Scrypt(ScryptHash),
}

impl Stored {
    /// Reads a stored hash in any of the known forms.
    pub(super) fn parse(text: &str) -> Result<Self, StoredHashError> {
        if text.len() > PasswordHash::BYTES_MAX {
            return Err(StoredHashError::Malformed);
        }
        let (django, rest) = text.split_once('$').ok_or(StoredHashError::Unknown)?;
        match django {
            "" => Self::parse_bare(rest),
            "argon2" => Argon2Hash::parse_django(rest).map(Self::Argon2),
            "bcrypt" => BcryptHash::parse_django(rest).map(Self::Bcrypt),
            "bcrypt_sha256" => BcryptHash::parse_django_sha256(rest).map(Self::Bcrypt),
            "pbkdf2_sha256" => Pbkdf2Hash::parse_django_sha256(rest).map(Self::Pbkdf2),
            "pbkdf2_sha1" => Pbkdf2Hash::parse_django_sha1(rest).map(Self::Pbkdf2),
            "scrypt" => ScryptHash::parse_django(rest).map(Self::Scrypt),
            _ => Err(StoredHashError::Unknown),
        }
    }

    /// PHC strings and modular crypt, behind their leading `$`.
    fn parse_bare(rest: &str) -> Result<Self, StoredHashError> {
        let (name, fields) = rest.split_once('$').ok_or(StoredHashError::Unknown)?;
        match name {
            "argon2id" | "argon2i" | "argon2d" => Argon2Hash::parse(rest).map(Self::Argon2),
            "2a" | "2b" | "2y" => BcryptHash::parse(rest).map(Self::Bcrypt),
            "scrypt" => ScryptHash::parse_phc(fields).map(Self::Scrypt),
            _ => Err(StoredHashError::Unknown),
        }
    }

    /// A hash of nobody's password with the algorithm and cost of `kind`, to be timed.
    pub(super) fn synthetic(kind: &HashKind) -> Option<Self> {
        // Sixteen zero bytes, thirty-two and sixty-four, as the formats write them.
        let salt = "A".repeat(22);
        let tag = "A".repeat(43);
        let kind = kind.0.as_str();
        let text = match kind.split('$').collect::<Vec<_>>().as_slice() {
            ["", "scrypt", _] => format!("{kind}${salt}${tag}"),
            ["", "argon2id" | "argon2i" | "argon2d", _] => {
                format!("{}${salt}${tag}", kind.replacen("$m=", "$v=19$m=", 1))
            }
            ["", _, _] | ["bcrypt" | "bcrypt_sha256", "", _, _] => {
                format!("{kind}${}", ".".repeat(53))
            }
            ["pbkdf2_sha256", _] => format!("{kind}${salt}${tag}="),
            ["pbkdf2_sha1", _] => format!("{kind}${salt}${}=", "A".repeat(27)),
            ["scrypt", n, r, p] => format!("scrypt${n}${salt}${r}${p}${}==", "A".repeat(86)),
            _ => return None,
        };
        Self::parse(&text).ok()
    }

    /// Does the work, and says whether `password` is the one.
    pub(super) fn verify(&self, password: &[u8], memory: &mut Memory) -> Result<bool, OutOfMemory> {
        match self {
            Self::Argon2(hash) => hash.verify(password, memory),
            Self::Bcrypt(hash) => Ok(hash.verify(password)),
            Self::Pbkdf2(hash) => Ok(hash.verify(password)),
            Self::Scrypt(hash) => Ok(hash.verify(password)),
        }
    }

    /// In the algorithm's own unit.
    #[cfg(test)]
    fn cost(&self) -> u64 {
        match self {
            Self::Argon2(hash) => hash.cost(),
            Self::Bcrypt(hash) => hash.cost(),
            Self::Pbkdf2(hash) => hash.cost(),
            Self::Scrypt(hash) => hash.cost(),
        }
    }

    /// Whether it should be replaced at the next login.
    pub(super) fn needs_upgrade(&self) -> bool {
        match self {
            Self::Argon2(hash) => hash.needs_upgrade(),
            Self::Bcrypt(_) | Self::Pbkdf2(_) | Self::Scrypt(_) => true,
        }
    }
}

/// Compares without telling by its time where the first difference is.
fn same(computed: &[u8], stored: &[u8]) -> bool {
    computed.ct_eq(stored).into()
}

/// A decimal number as hash formats write it: digits only, no leading zero.
fn decimal(text: &str) -> Result<u32, StoredHashError> {
    let canonical = text == "0" || !text.starts_with('0');
    if !canonical || !text.bytes().all(|byte| byte.is_ascii_digit()) || text.is_empty() {
        return Err(StoredHashError::Malformed);
    }
    // What has only digits and is still no u32 is too large for one.
    text.parse().map_err(|_| StoredHashError::TooExpensive)
}

/// A salt, which must be there.
fn salted<T: AsRef<[u8]>>(salt: T) -> Result<T, StoredHashError> {
    if salt.as_ref().is_empty() {
        return Err(StoredHashError::Unsalted);
    }
    Ok(salt)
}

#[cfg(test)]
mod tests;
