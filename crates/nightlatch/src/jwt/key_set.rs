//! The keys that are known at one moment: one signs, all verify.

use std::sync::Arc;

use nightlatch_core::Timestamp;
use serde::Serialize;

use super::key::SigningKey;

/// Keys by the time from which each signs.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<(Timestamp, SigningKey)>,
    jwks: Option<Arc<str>>,
}

/// RFC 7517, 5.
#[derive(Serialize)]
struct Published<'a> {
    keys: Vec<&'a jsonwebtoken::jwk::Jwk>,
}

impl KeySet {
    /// Keys of a configuration: the first signs for ever.
    pub(super) fn configured(keys: Vec<SigningKey>) -> Self {
        let never = Timestamp::from_micros(i64::MAX);
        let from = std::iter::once(Timestamp::EPOCH).chain(std::iter::repeat(never));
        Self::new(from.zip(keys).collect())
    }

    /// Keys in the order in which they sign.
    pub(super) fn new(keys: Vec<(Timestamp, SigningKey)>) -> Self {
        let published = Published { keys: keys.iter().map(|(_, key)| &key.public).collect() };
        let jwks = serde_json::to_string(&published).ok().filter(|_| !keys.is_empty());
        Self { keys, jwks: jwks.map(Into::into) }
    }

    /// The key that signs at a time: the last whose time has come, and the first before that.
    pub(super) fn signing_at(&self, now: Timestamp) -> Option<&SigningKey> {
        let signing = self.keys.iter().rev().find(|(from, _)| *from <= now);
        signing.or(self.keys.first()).map(|(_, key)| key)
    }

    /// From when on the key signs that signs at a time; `None`: nobody has said when.
    pub(super) fn signs_since(&self, now: Timestamp) -> Option<Timestamp> {
        let signing = self.keys.iter().rev().find(|(from, _)| *from <= now);
        signing.or(self.keys.first()).map(|(from, _)| *from).filter(|from| *from > Timestamp::EPOCH)
    }

    pub(super) fn find(&self, id: &str) -> Option<&SigningKey> {
        self.keys.iter().map(|(_, key)| key).find(|key| key.id == id)
    }

    pub(super) fn jwks(&self) -> Option<Arc<str>> {
        self.jwks.clone()
    }
}
