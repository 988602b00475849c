//! Refresh tokens: what a client without cookies exchanges for the next pair of tokens.
//!
//! Each is used once. Its successor is derived from the token itself, so that a client that lost the
//! answer gets the same one again, from whichever node, though no node and no record keeps it: who
//! steals the record has hashes alone, and cannot derive anything from those.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::key::{KeyId, Tag};
use crate::{Entropy, MacKeys, MasterKeys, Secret, SessionId, TokenHash, entropy};
use uuid::Uuid;

/// A key's id, the session, how many tokens of it came before, the beginning of the hash of the last of
/// those, 128 bits that nobody can guess, and a keyed tag over all that.
const TOKEN_BYTES: usize = 72;
/// As many bytes in base64url.
const TOKEN_CHARS: usize = 96;

/// What a token says of the one before. By it a record that has gone back over one exchange knows that
/// this one follows: the tag alone would do for whoever has our key.
const BEFORE_BYTES: usize = 16;

/// Where the parts begin.
const SESSION_AT: usize = size_of::<KeyId>();
const STEP_AT: usize = SESSION_AT + 16;
const BEFORE_AT: usize = STEP_AT + size_of::<u32>();
const SECRET_AT: usize = BEFORE_AT + BEFORE_BYTES;
const TAG_AT: usize = SECRET_AT + size_of::<Tag>();

/// A refresh token to be given out.
#[derive(Clone)]
pub struct RefreshToken(Secret<[u8; TOKEN_BYTES]>);

impl RefreshToken {
    /// The text for the client.
    #[must_use]
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.expose())
    }

    /// What the record will know of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.0.expose())
    }

    /// The session that it goes on with.
    #[must_use]
    pub fn session(&self) -> SessionId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0.expose()[SESSION_AT..STEP_AT]);
        SessionId::from_uuid(Uuid::from_bytes(id))
    }

    /// How many came before.
    #[must_use]
    pub fn step(&self) -> u32 {
        let mut step = [0; 4];
        step.copy_from_slice(&self.0.expose()[STEP_AT..BEFORE_AT]);
        u32::from_be_bytes(step)
    }

    /// The beginning of what the record knew of the one before.
    #[must_use]
    pub fn before(&self) -> [u8; BEFORE_BYTES] {
        let mut before = [0; BEFORE_BYTES];
        before.copy_from_slice(&self.0.expose()[BEFORE_AT..SECRET_AT]);
        before
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(***)")
    }
}

/// What a presented token is, as far as can be told without asking the record.
#[derive(Clone, Debug)]
pub enum RefreshCheck {
    /// Ours: the record knows whether it is still good.
    Ours(RefreshToken),
    /// Signed with a key that this node does not have: another node may, while keys are rotated.
    UnknownKey(RefreshToken),
    /// Not a token that we ever gave out.
    Forged,
}

/// Makes, checks and follows refresh tokens.
#[derive(Clone)]
pub struct RefreshTokens {
    /// Of the tags.
    tags: MacKeys,
    /// Of successors, in the same order.
    successors: MacKeys,
}

impl RefreshTokens {
    /// With the keys of this use.
    #[must_use]
    pub fn new(masters: &MasterKeys) -> Self {
        Self {
            tags: MacKeys::derive(masters, "refresh-token"),
            successors: MacKeys::derive(masters, "refresh-successor"),
        }
    }

    /// The first token of a session.
    #[must_use]
    pub fn first(&self, session: SessionId, entropy: &dyn Entropy) -> RefreshToken {
        self.seal(0, (session, 0, [0; BEFORE_BYTES]), &entropy::fresh(entropy))
    }

    /// Checks a presented token without any I/O.
    #[must_use]
    pub fn check(&self, presented: &str) -> RefreshCheck {
        if presented.len() != TOKEN_CHARS {
            return RefreshCheck::Forged;
        }
        let mut token = Secret::new([0; TOKEN_BYTES]);
        match URL_SAFE_NO_PAD.decode_slice(presented, token.expose_mut()) {
            Ok(TOKEN_BYTES) => {}
            Ok(_) | Err(_) => return RefreshCheck::Forged,
        }
        let (said, tag) = token.expose().split_at(TAG_AT);
        let mut id = KeyId::default();
        id.copy_from_slice(&said[..SESSION_AT]);
        match self.tags.verify(id, tag, &[&said[SESSION_AT..]]) {
            Some(true) => RefreshCheck::Ours(RefreshToken(token)),
            Some(false) => RefreshCheck::Forged,
            None => RefreshCheck::UnknownKey(RefreshToken(token)),
        }
    }

    /// The key by which successors are derived now.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.successors.id_at(0)
    }

    /// All keys by which they can be.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyId> {
        self.successors.ids().collect()
    }

    /// The successor of a token by a key; `None`: this node does not have it.
    #[must_use]
    pub fn successor(&self, of: &RefreshToken, key: KeyId) -> Option<RefreshToken> {
        let number = self.successors.position(key)?;
        let (session, step) = (of.session(), of.step().saturating_add(1));
        // Of all of the token: whoever knows less cannot derive it, not even with the key.
        let secret = self.successors.sign_at(number, &[of.0.expose()]);
        let mut before = [0; BEFORE_BYTES];
        before.copy_from_slice(&of.hash().as_bytes()[..BEFORE_BYTES]);
        Some(self.seal(number, (session, step, before), &secret))
    }

    fn seal(
        &self,
        key: usize,
        (session, step, before): (SessionId, u32, [u8; BEFORE_BYTES]),
        secret: &Tag,
    ) -> RefreshToken {
        let mut token = Secret::new([0; TOKEN_BYTES]);
        let bytes = token.expose_mut();
        bytes[..SESSION_AT].copy_from_slice(&self.tags.id_at(key));
        bytes[SESSION_AT..STEP_AT].copy_from_slice(session.as_uuid().as_bytes());
        bytes[STEP_AT..BEFORE_AT].copy_from_slice(&step.to_be_bytes());
        bytes[BEFORE_AT..SECRET_AT].copy_from_slice(&before);
        bytes[SECRET_AT..TAG_AT].copy_from_slice(secret);
        let tag = self.tags.sign_at(key, &[&bytes[SESSION_AT..TAG_AT]]);
        bytes[TAG_AT..].copy_from_slice(&tag);
        RefreshToken(token)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::tests::masters;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn tokens(secrets: &[&str]) -> RefreshTokens {
        RefreshTokens::new(&masters(secrets))
    }

    fn session() -> SessionId {
        SessionId::from_uuid(Uuid::from_u128(7))
    }

    fn ours(check: RefreshCheck) -> RefreshToken {
        let RefreshCheck::Ours(token) = check else { panic!("{check:?}") };
        token
    }

    #[test]
    fn every_node_derives_the_same_successor_also_after_the_keys_were_rotated() {
        let (old, rotated) = (tokens(&["old"]), tokens(&["new", "old"]));
        let first = old.first(session(), &Fixed(1));
        let next = old.successor(&first, old.key()).expect("the key is there");
        let again = ours(rotated.check(&first.expose()));
        let same = rotated.successor(&again, old.key()).expect("it has that key, too");
        assert_eq!(same.expose(), next.expose());
        assert_eq!((next.session(), next.step()), (session(), 1));
        assert!(first.hash().as_bytes().starts_with(&next.before()));
        assert_eq!(ours(old.check(&next.expose())).hash(), next.hash());
        let other = rotated.successor(&again, rotated.key()).expect("the key is there");
        assert_ne!(other.hash(), next.hash());
        assert!(old.successor(&first, rotated.key()).is_none());
        assert!(matches!(old.check(&other.expose()), RefreshCheck::UnknownKey(_)));
    }

    #[test]
    fn successors_follow_from_the_whole_token() {
        let tokens = tokens(&["k"]);
        let follow = |token| tokens.successor(token, tokens.key()).expect("the key is there");
        let (one, other) = (tokens.first(session(), &Fixed(1)), tokens.first(session(), &Fixed(2)));
        assert_ne!(follow(&one).hash(), follow(&other).hash());
        assert_ne!(follow(&follow(&one)).hash(), follow(&one).hash());
    }

    #[test]
    fn no_token_is_printed() {
        let token = tokens(&["k"]).first(session(), &Fixed(1));
        assert_eq!(format!("{token:?}"), "RefreshToken(***)");
    }

    proptest! {
        #[test]
        fn any_changed_character_is_refused(place in 0..TOKEN_CHARS, other in "[A-Za-z0-9_-]") {
            let tokens = tokens(&["k"]);
            let token = tokens.first(session(), &Fixed(1));
            let mut text = token.expose();
            text.replace_range(place..=place, &other);
            match tokens.check(&text) {
                RefreshCheck::Ours(_) => prop_assert_eq!(text, token.expose()),
                RefreshCheck::UnknownKey(_) => prop_assert!(place < 6),
                RefreshCheck::Forged => {}
            }
        }

        #[test]
        fn any_text_is_checked_without_panic(text in any::<String>()) {
            let _ = tokens(&["k"]).check(&text);
        }
    }
}
