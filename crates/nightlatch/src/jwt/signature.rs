//! The three parts of a signed token, and whether a key has signed it.
//!
//! The key decides by which algorithm, never the token: what lets a token choose is the oldest hole
//! there is (RFC 8725, 3.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};

use super::header::{self, Said};

/// A token in its parts, none of which is believed yet.
pub(super) struct Signed<'a> {
    /// Header and claims, as they are signed.
    text: &'a str,
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
}

/// Takes a token apart (RFC 7515, 7.1).
pub(super) fn split(token: &str) -> Option<Signed<'_>> {
    let (text, signature) = token.rsplit_once('.')?;
    let (header, claims) = text.split_once('.')?;
    Some(Signed { text, header, claims, signature })
}

impl Signed<'_> {
    /// What the header says, if it is one that we know.
    pub(super) fn header(&self) -> Option<Said> {
        header::read(self.header)
    }

    /// The claims, whoever has signed them.
    pub(super) fn claims_of_anybody(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.claims).ok()
    }

    /// The claims, if they are signed by a key.
    pub(super) fn claims_if_signed_by(
        &self,
        key: &DecodingKey,
        algorithm: Algorithm,
    ) -> Option<Vec<u8>> {
        let verified = crypto::verify(self.signature, self.text.as_bytes(), key, algorithm);
        let is_signed = verified.unwrap_or(false);
        self.claims_of_anybody().filter(|_| is_signed)
    }
}
