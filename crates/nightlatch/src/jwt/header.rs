//! The header of a token: three members, and no other.
//!
//! Apart from the library, which reads over what it does not know: a member that asks to be understood
//! (`crit`), or that brings a key of its own, must not be read over.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;

/// The type of an access token (RFC 9068, 2.1).
pub(super) const TYPE: &str = "at+jwt";

/// What it says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    pub(super) alg: Algorithm,
    #[serde(default)]
    pub(super) kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
}

impl Said {
    /// Whether it says that this is an access token.
    pub(super) fn is_of_access_token(&self) -> bool {
        self.typ.as_deref() == Some(TYPE)
    }
}

/// Reads the first part of a token; `None`: none that we know looks like that.
pub(super) fn read(part: &str) -> Option<Said> {
    let text = URL_SAFE_NO_PAD.decode(part).ok()?;
    // A member that stands twice is refused, too.
    serde_json::from_slice(&text).ok()
}
