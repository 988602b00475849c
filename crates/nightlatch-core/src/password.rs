//! Passwords and the ports that hash and judge them.
//!
//! Hashing is slow on purpose, so it is a port: the server runs it on a bounded pool of threads
//! and says early when that pool is full, instead of letting everybody wait.

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::store::BoxFuture;
use crate::{Deadline, Secret};

/// A password as somebody typed it. Never folded, never cut.
#[derive(Clone, Debug)]
pub struct Password(Secret<String>);

/// Why a password cannot be one.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PasswordError {
    /// Longer than is hashed.
    #[error("a password has at most {} bytes", Password::BYTES_MAX)]
    TooLong,
}

impl Password {
    /// The longest password, in bytes.
    pub const BYTES_MAX: usize = 1024;
    /// The shortest new password, in characters (NIST SP 800-63B, 3.1.1).
    pub const CHARS_MIN: usize = 8;

    /// Takes what was typed, for verifying.
    ///
    /// # Errors
    /// [`PasswordError::TooLong`] over [`Self::BYTES_MAX`].
    pub fn try_new(typed: String) -> Result<Self, PasswordError> {
        let typed = Secret::new(typed);
        if typed.expose().len() > Self::BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(typed))
    }

    /// The text, for hashing only.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The same password in Unicode's NFC, if that is another text: keyboards differ in how they
    /// type an accent.
    #[must_use]
    pub fn as_nfc(&self) -> Option<Self> {
        if is_nfc(self.expose()) {
            return None;
        }
        let nfc: String = self.expose().nfc().collect();
        Self::try_new(nfc).ok()
    }
}

/// A password that somebody wants from now on, with the words that make it guessable for them.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// As typed.
    pub password: Password,
    /// The user's name, e-mail and the like.
    pub context: Vec<String>,
}

/// Why a new password was refused, in words for the person who chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weakness(pub String);

/// A stored password hash in its own text form (PHC string, modular crypt, or Django's).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The longest stored form, in bytes.
    pub const BYTES_MAX: usize = 1024;

    /// Wraps a stored text; whether it can be verified is the hasher's to say.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The stored text, for the hasher and the record only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The algorithm and cost without salt and tag.
    #[must_use]
    pub fn kind(&self) -> HashKind {
        HashKind::of(&self.0)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({})", self.kind().0)
    }
}

/// Algorithm and cost of a stored hash, such as `$2b$12` or `pbkdf2_sha256$600000`: what decides
/// how long verifying takes. Not secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashKind(pub String);

impl HashKind {
    /// The longest kind, in bytes.
    const BYTES_MAX: usize = 64;

    fn of(stored: &str) -> Self {
        let parts: Vec<&str> = stored.split('$').collect();
        let kind = match parts.as_slice() {
            // PHC: $argon2id$v=19$m=19456,t=2,p=1$salt$tag; the same behind Django's prefix.
            ["" | "argon2", name, version, params, ..] if version.starts_with("v=") => {
                format!("${name}${params}")
            }
            // The same from before argon2 had a version.
            ["" | "argon2", name @ ("argon2id" | "argon2i" | "argon2d"), params, ..] => {
                format!("${name}${params}")
            }
            // Modular crypt: $2b$12$salt+tag; behind Django's prefix `bcrypt_sha256$$2b$12$..`.
            ["", name @ ("2a" | "2b" | "2y"), cost, ..] => format!("${name}${cost}"),
            [django @ ("bcrypt" | "bcrypt_sha256"), "", name, cost, ..] => {
                format!("{django}$${name}${cost}")
            }
            // Django: pbkdf2_sha256$600000$salt$tag
            [django @ ("pbkdf2_sha256" | "pbkdf2_sha1"), rounds, ..] => {
                format!("{django}${rounds}")
            }
            // Django: scrypt$16384$salt$8$5$tag
            ["scrypt", n, _salt, r, p, ..] => format!("scrypt${n}${r}${p}"),
            // PHC without a version: $scrypt$ln=14,r=8,p=1$salt$tag. Only this name: where `$6$`
            // has its salt, others have theirs.
            ["", "scrypt", params, ..] => format!("$scrypt${params}"),
            _ => "unusable".to_owned(),
        };
        if kind.len() > Self::BYTES_MAX {
            return Self("unusable".to_owned());
        }
        Self(kind)
    }
}

/// What verifying a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is not the password, or the hash is one that nothing verifies against.
    No,
    /// It is the password.
    Yes {
        /// The stored hash is weaker than what is stored today.
        needs_upgrade: bool,
    },
}

/// Why hashing gave no answer. Says nothing about the password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HashError {
    /// The pool is full or would not be done within the deadline.
    #[error("the password hashing pool is full")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The pool has been stopped.
    #[error("the password hashing pool has stopped")]
    Stopped,
}

/// Hashes and verifies passwords, off the async workers, in bounded memory and time.
pub trait PasswordHasher: Send + Sync {
    /// Hashes a new password with today's algorithm.
    ///
    /// # Errors
    /// [`HashError`] when the pool cannot take it.
    fn hash(
        &self,
        password: Password,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<PasswordHash, HashError>>;

    /// Verifies. `None` and hashes that nothing verifies against cost the work of today's
    /// algorithm and are [`Verified::No`].
    ///
    /// # Errors
    /// [`HashError`] when the pool cannot take it.
    fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Verified, HashError>>;

    /// Every failed login is answered at a multiple of this span after its arrival, so that the
    /// time tells nothing about the account: the cost of the dearest kind of hash in the record.
    fn failed_login_span(&self) -> Duration;
}

/// Judges how easily a new password is guessed.
pub trait PasswordAssessor: Send + Sync {
    /// `None` when it will do.
    ///
    /// # Errors
    /// [`HashError`] when the pool that estimates cannot take it.
    fn assess(
        &self,
        candidate: NewPassword,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Option<Weakness>, HashError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_hold_cost_but_neither_salt_nor_tag() {
        for (stored, kind) in [
            ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$dGFn", "$argon2id$m=19456,t=2,p=1"),
            ("argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdA$dGFn", "$argon2id$m=102400,t=2,p=8"),
            ("$2b$12$saltsaltsaltsaltsaltsetag", "$2b$12"),
            ("bcrypt_sha256$$2b$12$saltandtag", "bcrypt_sha256$$2b$12"),
            ("pbkdf2_sha256$600000$salt$tag", "pbkdf2_sha256$600000"),
            ("scrypt$16384$salt$8$5$tag", "scrypt$16384$8$5"),
            ("$scrypt$ln=14,r=8,p=1$c2FsdA$dGFn", "$scrypt$ln=14,r=8,p=1"),
            ("argon2$argon2i$m=512,t=2,p=2$c2FsdA$dGFn", "$argon2i$m=512,t=2,p=2"),
            ("$6$salt$tag", "unusable"),
            ("!unusable", "unusable"),
            ("", "unusable"),
        ] {
            assert_eq!(PasswordHash::from_stored(stored.to_owned()).kind().0, kind);
        }
    }

    #[test]
    fn nfc_is_a_second_text_only_when_it_differs() {
        let typed = Password::try_new("cafe\u{301}".to_owned()).expect("short");
        assert_eq!(typed.as_nfc().expect("differs").expose(), "caf\u{e9}");
        let composed = Password::try_new("caf\u{e9}".to_owned()).expect("short");
        assert!(composed.as_nfc().is_none());
    }
}
