//! The secrets that everything is signed with: configured, or generated once and kept.
//!
//! A developer should not have to invent a secret, and must not be logged out by every restart.
//! So outside production a secret is made at the first start and kept where the record is: in a
//! file beside the SQLite database, or in PostgreSQL, where all nodes find the same one.

use nightlatch_core::{Entropy, KeyError, MasterKeys, Secret};

use super::reader::Reader;
use super::value::{self, Wrong};

/// The secrets that were configured.
#[derive(Clone, Debug)]
pub struct SecretsConfig {
    /// `SESSION_SECRET_KEY`, the signing one first. `None` (never in production): to be generated
    /// and kept.
    pub session: Option<MasterKeys>,
    /// `CSRF_SECRET_KEY`. `None`: derived from the session secret.
    pub csrf: Option<MasterKeys>,
}

impl SecretsConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        const SESSION: &str = "SESSION_SECRET_KEY";
        let session = read_keys(reader, SESSION);
        if reader.environment().is_production() && !reader.is_set(SESSION) {
            let why = "is required in production: session tokens are signed with it";
            let wrong = Wrong::new(why).better(super::SECRET_EXAMPLE);
            reader.fatal(SESSION, wrong.id("setting-missing"));
        }
        Self { session, csrf: read_keys(reader, "CSRF_SECRET_KEY") }
    }
}

fn read_keys(reader: &mut Reader, name: &'static str) -> Option<MasterKeys> {
    let (keys, weakness) = reader.optional(name, |text, _| {
        let keys =
            master_keys(text).map_err(|error| Wrong::new(format!("cannot be used: {error}")))?;
        Ok((keys, value::items(text).find_map(weakness)))
    })?;
    if let Some(weakness) = weakness {
        let wrong = Wrong::new(weakness).better(super::SECRET_EXAMPLE).id("secret-weak");
        if reader.environment().is_production() {
            reader.fatal(name, wrong);
        } else {
            reader.remark(name, wrong);
        }
    }
    Some(keys)
}

/// The keys of a comma list of secrets.
///
/// # Errors
/// [`KeyError`] when there is none or there are too many.
pub fn master_keys(list: &str) -> Result<MasterKeys, KeyError> {
    MasterKeys::try_new(value::items(list).map(|s| Secret::new(s.as_bytes().to_vec())).collect())
}

/// A new secret of 256 bits, as text that `SESSION_SECRET_KEY` could hold as well.
#[must_use]
pub fn fresh(entropy: &dyn Entropy) -> Secret<String> {
    use base64::Engine as _;
    let mut bytes = Secret::new([0_u8; 32]);
    entropy.fill(bytes.expose_mut());
    Secret::new(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes.expose()))
}

/// The name of the generated secret in a record that keeps it (`Record::shared_secret`).
pub const SHARED_SECRET_NAME: &str = "session_secret_key";

/// Why a kept secret cannot be used.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the secret that was kept is damaged")]
pub struct DamagedSecret;

/// The keys of a secret that a record or file kept.
///
/// # Errors
/// [`DamagedSecret`] when it is none that [`fresh`] could have made: signing with what is left of
/// a secret would be worse than not starting.
pub fn kept_keys(stored: &[u8]) -> Result<MasterKeys, DamagedSecret> {
    let text = str::from_utf8(stored).map_err(|_| DamagedSecret)?.trim_end();
    let is_whole = |secret: &str| secret.len() >= SECRET_CHARS_MIN;
    if !value::items(text).all(is_whole) {
        return Err(DamagedSecret);
    }
    master_keys(text).map_err(|_| DamagedSecret)
}

/// A guess is worth trying below this.
const SECRET_CHARS_MIN: usize = 32;

/// Why a secret would be guessed.
pub(crate) fn weakness(secret: &str) -> Option<String> {
    if is_placeholder(secret) {
        return Some("is a placeholder that everybody knows".to_owned());
    }
    (secret.chars().count() < SECRET_CHARS_MIN)
        .then(|| format!("is weak: it has under {SECRET_CHARS_MIN} characters"))
}

/// Whether it is what templates and guides have in place of a secret.
pub(crate) fn is_placeholder(secret: &str) -> bool {
    let lower = secret.to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|placeholder| lower.contains(placeholder))
}

/// Long enough that no random secret holds one by chance.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "change this",
    "change-this",
    "change_this",
    "changethis",
    "replaceme",
    "replace-me",
    "replace_me",
    "replace-with",
    "replace_with",
    "placeholder",
    "your-secret",
    "your_secret",
    "yoursecret",
    "supersecret",
    "super-secret",
    "super_secret",
    "insecure",
    "keyboard cat",
    "xxxxxxxx",
];

#[cfg(test)]
mod tests {
    use nightlatch_core::SystemEntropy;

    use super::*;

    #[test]
    fn weak_is_short_or_a_placeholder() {
        for (secret, is_weak) in [
            ("short", true),
            ("0123456789abcdef0123456789abcde", true),
            ("0123456789abcdef0123456789abcdef", false),
            ("Change-Me-change-me-change-me-change-me", true),
            ("django-insecure-k9fhd83hfkd93hf93hf9", true),
            ("your_secret_key_that_is_long_enough_here", true),
            ("üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü", false),
        ] {
            assert_eq!(weakness(secret).is_some(), is_weak, "{secret}");
        }
    }

    #[test]
    fn a_fresh_secret_is_kept_and_read_and_a_damaged_one_is_refused() {
        let secret = fresh(&SystemEntropy);
        assert_eq!(weakness(secret.expose()), None);
        assert!(kept_keys(secret.expose().as_bytes()).is_ok());
        for damaged in [&b""[..], b"\n", b"half-a-secret", b"\xff\xff", b",,,"] {
            assert!(kept_keys(damaged).is_err(), "{damaged:?}");
        }
    }
}
