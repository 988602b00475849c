//! CSRF tokens: proof that a form came from our own page.
//!
//! Both kinds are keyed tags and need no store, so a logout can be checked while the record is away:
//! the token of a session is a tag of its token's hash, the token of a form before login is a tag of
//! a random value in a cookie of its own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{Entropy, MacKeys, MasterKeys, TokenHash, entropy};

const PRE_SESSION_BYTES: usize = 16;

/// Makes and checks CSRF tokens.
#[derive(Clone)]
pub struct CsrfTokens(MacKeys);

/// The random value in the pre-session cookie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PreSession([u8; PRE_SESSION_BYTES]);

impl PreSession {
    /// A new one.
    #[must_use]
    pub fn fresh(entropy: &dyn Entropy) -> Self {
        Self(entropy::fresh(entropy))
    }

    /// From the cookie; `None` if it is not one.
    #[must_use]
    pub fn parse(cookie: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(cookie.get(..cookie.len().min(64))?).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// For the cookie.
    #[must_use]
    pub fn to_cookie(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl CsrfTokens {
    /// With the keys of this use.
    #[must_use]
    pub fn new(masters: &MasterKeys) -> Self {
        Self(MacKeys::derive(masters, "csrf"))
    }

    /// The token of a session.
    #[must_use]
    pub fn for_session(&self, session: TokenHash) -> String {
        self.0.mark(&[b"session", session.as_bytes()])
    }

    /// Whether `token` is the session's, in constant time.
    #[must_use]
    pub fn is_for_session(&self, token: &str, session: TokenHash) -> bool {
        self.0.is_mark(token, &[b"session", session.as_bytes()])
    }

    /// The token of a form before login.
    #[must_use]
    pub fn for_pre_session(&self, pre: PreSession) -> String {
        self.0.mark(&[b"pre", &pre.0])
    }

    /// Whether `token` belongs to the pre-session cookie, in constant time.
    #[must_use]
    pub fn is_for_pre_session(&self, token: &str, pre: PreSession) -> bool {
        self.0.is_mark(token, &[b"pre", &pre.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::tests::masters;

    #[test]
    fn a_token_is_good_for_its_own_session_only() {
        let tokens = CsrfTokens::new(&masters(&["k"]));
        let mine = TokenHash::from_bytes([1; 32]);
        let other = TokenHash::from_bytes([2; 32]);
        let token = tokens.for_session(mine);
        assert!(tokens.is_for_session(&token, mine));
        assert!(!tokens.is_for_session(&token, other));
        let pre = PreSession([1; 16]);
        assert!(!tokens.is_for_pre_session(&token, pre));
        assert!(!tokens.is_for_session("", mine));
        assert!(!tokens.is_for_session(&"é".repeat(27), mine));
    }

    #[test]
    fn pre_session_survives_its_cookie() {
        let pre = PreSession([7; 16]);
        assert!(PreSession::parse(&pre.to_cookie()) == Some(pre));
        assert!(PreSession::parse("short").is_none());
        assert!(PreSession::parse(&"ü".repeat(64)).is_none());
    }
}
