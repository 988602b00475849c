//! Session tokens: what the cookie holds.
//!
//! A token is a key id, 160 random bits and a keyed tag. A wrong tag under a known key is refused
//! without asking anybody, so a flood of invented cookies costs no store anything. The record
//! knows only a hash: who steals it cannot log in.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::key::{KeyId, Tag};
use crate::{Entropy, MacKeys, MasterKeys, Secret, SessionId, entropy};

const KEY_ID_BYTES: usize = size_of::<KeyId>();
const RANDOM_BYTES: usize = 20;
const TAG_BYTES: usize = size_of::<Tag>();
const TOKEN_BYTES: usize = KEY_ID_BYTES + RANDOM_BYTES + TAG_BYTES;
/// 40 bytes in base64url without padding.
const TOKEN_CHARS: usize = 54;

/// The secret in a session cookie.
#[derive(Clone, Debug)]
pub struct SessionToken(Secret<String>);

impl SessionToken {
    /// The text for the cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// What is stored of a session token: SHA-256. The token has 160 random bits, so nothing slower is
/// needed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// From a stored value.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For storing.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Under what a session stands whose client has tokens instead of a cookie. No cookie has this
    /// hash: it would have to be found for it.
    #[must_use]
    pub fn of_bearer(session: SessionId) -> Self {
        Self::of(&[b"bearer/".as_slice(), session.as_uuid().as_bytes()].concat())
    }

    /// Under what an application's session stands, by the id in its cookie. No cookie of ours has this
    /// hash.
    #[must_use]
    pub fn of_application(id: [u8; 16]) -> Self {
        Self::of(&[b"application/".as_slice(), &id].concat())
    }

    pub(crate) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

/// What a presented token is, as far as can be told without asking the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenCheck {
    /// Ours: the record knows whether it is a session.
    Ours(TokenHash),
    /// Signed with a key that this node does not have. Another node may (keys are being rotated),
    /// so the record is asked, under a budget.
    UnknownKey(TokenHash),
    /// Not a token that we ever gave out.
    Forged,
}

/// Makes and checks session tokens.
#[derive(Clone)]
pub struct SessionTokens(MacKeys);

impl SessionTokens {
    /// With the keys of this use.
    #[must_use]
    pub fn new(masters: &MasterKeys) -> Self {
        Self(MacKeys::derive(masters, "session-token"))
    }

    /// A new token and what the record will know of it.
    #[must_use]
    pub fn mint(&self, entropy: &dyn Entropy) -> (SessionToken, TokenHash) {
        let random: [u8; RANDOM_BYTES] = entropy::fresh(entropy);
        let (id, tag) = self.0.sign(&[&random]);
        let mut token = Secret::new([0_u8; TOKEN_BYTES]);
        let bytes = token.expose_mut();
        bytes[..KEY_ID_BYTES].copy_from_slice(&id);
        bytes[KEY_ID_BYTES..KEY_ID_BYTES + RANDOM_BYTES].copy_from_slice(&random);
        bytes[KEY_ID_BYTES + RANDOM_BYTES..].copy_from_slice(&tag);
        let text = URL_SAFE_NO_PAD.encode(token.expose());
        (SessionToken(Secret::new(text)), TokenHash::of(token.expose()))
    }

    /// Checks a presented token without any I/O and without allocating.
    #[must_use]
    pub fn check(&self, presented: &str) -> TokenCheck {
        if presented.len() != TOKEN_CHARS {
            return TokenCheck::Forged;
        }
        let mut token = Secret::new([0_u8; TOKEN_BYTES]);
        match URL_SAFE_NO_PAD.decode_slice(presented, token.expose_mut()) {
            Ok(TOKEN_BYTES) => {}
            Ok(_) | Err(_) => return TokenCheck::Forged,
        }
        let token = token.expose();
        let mut id = KeyId::default();
        id.copy_from_slice(&token[..KEY_ID_BYTES]);
        let random = &token[KEY_ID_BYTES..KEY_ID_BYTES + RANDOM_BYTES];
        let tag = &token[KEY_ID_BYTES + RANDOM_BYTES..];
        match self.0.verify(id, tag, &[random]) {
            Some(true) => TokenCheck::Ours(TokenHash::of(token)),
            Some(false) => TokenCheck::Forged,
            None => TokenCheck::UnknownKey(TokenHash::of(token)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::tests::masters;

    pub(crate) struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    fn entropy() -> Counting {
        Counting(std::sync::atomic::AtomicU8::new(0))
    }

    #[test]
    fn a_minted_token_is_ours_also_after_the_keys_were_rotated() {
        let old = SessionTokens::new(&masters(&["old"]));
        let rotated = SessionTokens::new(&masters(&["new", "old"]));
        let dropped = SessionTokens::new(&masters(&["new"]));
        let (token, hash) = old.mint(&entropy());
        assert_eq!(old.check(token.expose()), TokenCheck::Ours(hash));
        assert_eq!(rotated.check(token.expose()), TokenCheck::Ours(hash));
        assert_eq!(dropped.check(token.expose()), TokenCheck::UnknownKey(hash));
    }

    #[test]
    fn no_token_is_printed() {
        let (token, hash) = SessionTokens::new(&masters(&["k"])).mint(&entropy());
        assert_eq!(format!("{token:?} {hash:?}"), "SessionToken(***) TokenHash(***)");
    }

    proptest! {
        #[test]
        fn any_changed_character_is_refused(place in 0..TOKEN_CHARS, other in "[A-Za-z0-9_-]") {
            let tokens = SessionTokens::new(&masters(&["k"]));
            let (token, hash) = tokens.mint(&entropy());
            let mut text = token.expose().to_owned();
            text.replace_range(place..=place, &other);
            let check = tokens.check(&text);
            if text == token.expose() {
                prop_assert_eq!(check, TokenCheck::Ours(hash));
            } else {
                prop_assert_ne!(check, TokenCheck::Ours(hash));
                prop_assert!(place < 6 || check == TokenCheck::Forged);
            }
        }

        #[test]
        fn any_text_is_checked_without_panic(text in any::<String>()) {
            let _ = SessionTokens::new(&masters(&["k"])).check(&text);
        }
    }
}
