//! Operators: users of one group, with a cookie that only a login as operator gives.
//!
//! An operator's session is a session like any other, so that it is listed, ends and is revoked like any
//! other. What its cookie holds beside the token is a tag that only that login makes: a session of the
//! same person, with which a browser wanders among applications, does not open the operators' page.

use crate::{MacKeys, MasterKeys, SessionToken, TokenHash};

/// The group whose members are operators.
pub const OPERATORS: &str = "operators";

/// Stands between the token and its tag, and in neither of them.
const SEPARATOR: char = '.';

/// Makes operators' cookies and opens them.
#[derive(Clone)]
pub struct OperatorCookies(MacKeys);

impl OperatorCookies {
    /// With the keys of this use.
    #[must_use]
    pub fn new(masters: &MasterKeys) -> Self {
        Self(MacKeys::derive(masters, "operator"))
    }

    /// The cookie of a session that a login as operator began.
    #[must_use]
    pub fn seal(&self, token: &SessionToken, hash: TokenHash) -> String {
        format!("{}{SEPARATOR}{}", token.expose(), self.0.mark(&[hash.as_bytes()]))
    }

    /// The token in a cookie that came from such a login. `hash` tells what is known of a token.
    #[must_use]
    pub fn open<'c>(
        &self,
        cookie: &'c str,
        hash: impl FnOnce(&str) -> Option<TokenHash>,
    ) -> Option<&'c str> {
        let (token, mark) = cookie.split_once(SEPARATOR)?;
        self.0.is_mark(mark, &[hash(token)?.as_bytes()]).then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::tests::masters;
    use crate::{SessionTokens, SystemEntropy, TokenCheck};

    #[test]
    fn a_cookie_opens_with_the_tag_of_its_own_token_alone() {
        let (masters, others) = (masters(&["k"]), masters(&["other"]));
        let (tokens, cookies) = (SessionTokens::new(&masters), OperatorCookies::new(&masters));
        let known = |token: &str| match tokens.check(token) {
            TokenCheck::Ours(hash) => Some(hash),
            TokenCheck::UnknownKey(_) | TokenCheck::Forged => None,
        };
        let ((mine, hash), (yours, _)) = (tokens.mint(&SystemEntropy), tokens.mint(&SystemEntropy));
        let cookie = cookies.seal(&mine, hash);
        assert_eq!(cookies.open(&cookie, known), Some(mine.expose()));

        let (_, mark) = cookie.split_once('.').unwrap();
        let foreign = OperatorCookies::new(&others).seal(&mine, hash);
        for forged in [
            mine.expose().to_owned(),
            format!("{}.", mine.expose()),
            format!("{}.{mark}", yours.expose()),
            format!("{cookie}.{mark}"),
            foreign,
            String::new(),
        ] {
            assert_eq!(cookies.open(&forged, known), None, "{forged}");
        }
    }
}
