//! Access and refresh tokens.

use std::time::Duration;

use super::WebOrigin;
use super::reader::Reader;
use super::value::{self, Wrong};
use crate::jwt::key::SigningKey;

/// Life times, claims and keys of tokens.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// Life of an access token.
    pub access_ttl: Duration,
    /// Life of a refresh token, each time it is exchanged.
    pub refresh_ttl: Duration,
    /// How long a client that lost the answer gets it again.
    pub refresh_grace: Duration,
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`.
    pub audience: String,
    /// Keys to sign with, the signing one first; `None`: the record keeps them.
    pub keys: Option<Vec<SigningKey>>,
}

/// In development people may open any address of this machine, and servers that share a database have
/// different ones; what one of them has signed the others take.
const ISSUER_WITHOUT_URL: &str = "http://localhost";

impl TokenConfig {
    pub(super) fn read(reader: &mut Reader, public_url: Option<&WebOrigin>) -> Self {
        const ISSUER: &str = "JWT_ISSUER";
        let issuer = reader.optional(ISSUER, |text, _| Ok(text.to_owned()));
        let issuer = issuer.unwrap_or_else(|| {
            public_url.map_or_else(|| ISSUER_WITHOUT_URL.to_owned(), WebOrigin::to_string)
        });
        reader.amend(ISSUER, issuer.clone());
        Self {
            access_ttl: reader.required("JWT_ACCESS_TTL", value::seconds),
            refresh_ttl: reader.required("JWT_REFRESH_TTL", value::seconds),
            refresh_grace: reader.required("JWT_REFRESH_GRACE", value::seconds),
            issuer,
            audience: reader.required("JWT_AUDIENCE", |text, _| Ok(text.to_owned())),
            keys: reader.optional("JWT_PRIVATE_KEY", |text, _| {
                let better =
                    "a file in JWT_PRIVATE_KEY_FILE, made by: openssl genpkey -algorithm ED25519";
                SigningKey::of_pem(text)
                    .map_err(|error| Wrong::new(error.to_string()).better(better))
            }),
        }
    }
}
