//! Access tokens as JSON Web Tokens (RFC 9068, RFC 7519), and the keys that they are signed with.
//!
//! Only what this service wrote itself is ever read: one header of three members, one set of claims, a
//! key of ours with its own algorithm. Whatever else a token can say (RFC 7515: `jku`, `jwk`, `x5u`,
//! `crit`) is a reason to refuse it.

mod claims;
mod debug;
mod header;
mod kept;
pub mod key;
mod key_set;
mod signature;

use std::sync::Arc;

use arc_swap::ArcSwap;
use jsonwebtoken::Header;
use nightlatch_core::{
    AccessCheck, AccessClaims, AccessTokens, BoxFuture, Deadline, NoSigningKey, StoreError,
    Timestamp,
};

use claims::Claims;
pub use debug::verify_jws_lines;
use header::Said;
pub use kept::{KeptKeys, KeyState, ListedKey, RotateError};
use key::SigningKey;
use key_set::KeySet;

/// The longest token that is looked at, in bytes. Ours have some 900 with an RSA key.
const TOKEN_BYTES_MAX: usize = 2048;

/// What tokens say of who made them, and for whom.
#[derive(Clone, Debug)]
pub struct Parties {
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`.
    pub audience: String,
}

/// Where the keys come from.
pub enum KeySource {
    /// The configuration: the first signs.
    Configured(Vec<SigningKey>),
    /// The record, which all nodes share.
    Kept(KeptKeys),
}

/// Writes access tokens and reads them.
pub struct Jwt {
    parties: Parties,
    keys: ArcSwap<KeySet>,
    kept: Option<KeptKeys>,
}

impl Jwt {
    /// With keys of the configuration, or none before [`AccessTokens::learn_keys`].
    #[must_use]
    pub fn new(parties: Parties, source: KeySource) -> Self {
        let (keys, kept) = match source {
            KeySource::Configured(keys) => (KeySet::configured(keys), None),
            KeySource::Kept(kept) => (KeySet::default(), Some(kept)),
        };
        Self { parties, keys: ArcSwap::from_pointee(keys), kept }
    }

    /// The public keys (RFC 7517); `None`: they are not known yet.
    #[must_use]
    pub fn jwks(&self) -> Option<Arc<str>> {
        self.keys.load().jwks()
    }

    /// From when on the key signs that signs now; `None`: nobody has said when, as of a key of the
    /// configuration.
    #[must_use]
    pub fn signs_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.keys.load().signs_since(now)
    }

    fn read(&self, presented: &str) -> Option<AccessCheck> {
        if presented.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let signed = signature::split(presented)?;
        let said = signed.header().filter(Said::is_of_access_token)?;
        let keys = self.keys.load();
        let Some(key) = keys.find(&said.kid?) else {
            self.kept.as_ref()?;
            let claims = Claims::read(&signed.claims_of_anybody()?, &self.parties)?;
            return Some(AccessCheck::UnknownKey(claims.expires_at));
        };
        if said.alg != key.algorithm {
            return None;
        }
        let claims = signed.claims_if_signed_by(&key.verifying, key.algorithm)?;
        Claims::read(&claims, &self.parties).map(AccessCheck::Ours)
    }
}

impl AccessTokens for Jwt {
    fn sign(&self, claims: &AccessClaims) -> Result<String, NoSigningKey> {
        let keys = self.keys.load();
        let key = keys.signing_at(claims.issued_at).ok_or(NoSigningKey)?;
        let header = Header {
            typ: Some(header::TYPE.to_owned()),
            kid: Some(key.id.clone()),
            ..Header::new(key.algorithm)
        };
        let claims = Claims::of(claims, &self.parties);
        jsonwebtoken::encode(&header, &claims, &key.signing).map_err(|error| {
            tracing::error!(event = "token.not_signed", error = %error);
            NoSigningKey
        })
    }

    fn check(&self, presented: &str) -> AccessCheck {
        self.read(presented).unwrap_or(AccessCheck::Forged)
    }

    fn learn_keys(&self, deadline: Deadline) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let Some(kept) = &self.kept else { return Ok(true) };
            kept.learn(deadline, |keys| self.keys.store(Arc::new(keys))).await
        })
    }
}

#[cfg(test)]
mod tests;
