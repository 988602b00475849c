//! Cookies: names that browsers protect, attributes that are safe by default.
//!
//! `__Host-` makes a browser refuse the cookie unless it is Secure, has Path=/ and no Domain, so
//! that no sibling domain can plant one (RFC 6265bis, 4.1.3).

use std::time::Duration;

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use cookie::{Cookie, SameSite};

use crate::config::{self, SessionConfig};
use crate::http::pages;

/// The names of our cookies and what all of them share.
#[derive(Clone, Debug)]
pub struct CookieNames {
    session: String,
    pre_session: String,
    device: String,
    flash: String,
    secure: bool,
    same_site: SameSite,
    domain: Option<String>,
    path: &'static str,
}

/// How long a browser is remembered as one that has logged in.
const DEVICE_AGE: Duration = Duration::from_hours(24 * 365);

/// How long a form may stay open before login.
const PRE_SESSION_AGE: Duration = Duration::from_hours(24);

/// How long a message waits for the page it is shown on.
const FLASH_AGE: Duration = Duration::from_mins(1);

impl CookieNames {
    /// Names for a configuration: `__Host-` if it can be kept, else `__Secure-`, else plain.
    #[must_use]
    pub fn new(session: &SessionConfig) -> Self {
        let prefix = match (session.cookie_secure, &session.cookie_domain) {
            (true, None) => "__Host-",
            (true, Some(_)) => "__Secure-",
            (false, _) => "",
        };
        let name = |suffix: &str| format!("{prefix}{}{suffix}", session.cookie_base_name);
        Self {
            session: name(""),
            pre_session: name("-pre"),
            device: name("-device"),
            flash: name("-flash"),
            secure: session.cookie_secure,
            same_site: match session.cookie_same_site {
                config::SameSite::Strict => SameSite::Strict,
                config::SameSite::Lax => SameSite::Lax,
                config::SameSite::None => SameSite::None,
            },
            domain: session.cookie_domain.clone(),
            path: "/",
        }
    }

    /// Those of the operators' page. Browsers do not tell ports apart, and another application may stand
    /// at another port of the same host: only their path keeps them from it, which no prefix allows.
    pub(crate) fn for_operators(&self) -> Self {
        let name = |suffix: &str| format!("nightlatch-operator{suffix}");
        Self {
            session: name(""),
            pre_session: name("-pre"),
            device: name("-device"),
            flash: name("-flash"),
            secure: self.secure,
            same_site: SameSite::Strict,
            domain: None,
            path: pages::OPERATOR,
        }
    }

    /// Whether browsers send them over HTTPS alone, or on their own machine.
    pub(crate) const fn are_secure(&self) -> bool {
        self.secure
    }

    /// The session cookie of a request. Two different ones count as none: somebody planted one.
    pub(crate) fn session<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        single(headers, &self.session)
    }

    /// The pre-session cookie of a request.
    pub(crate) fn pre_session<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        single(headers, &self.pre_session)
    }

    /// The device cookie of a request.
    pub(crate) fn device<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        single(headers, &self.device)
    }

    /// The message cookie of a request.
    pub(crate) fn flash<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        single(headers, &self.flash)
    }

    pub(crate) fn set_session(&self, token: &str, age: Duration) -> HeaderValue {
        self.set(&self.session, token, age, self.same_site)
    }

    pub(crate) fn clear_session(&self) -> HeaderValue {
        self.set(&self.session, "", Duration::ZERO, self.same_site)
    }

    pub(crate) fn set_pre_session(&self, value: &str) -> HeaderValue {
        self.set(&self.pre_session, value, PRE_SESSION_AGE, SameSite::Lax)
    }

    pub(crate) fn set_device(&self, value: &str) -> HeaderValue {
        self.set(&self.device, value, DEVICE_AGE, SameSite::Lax)
    }

    pub(crate) fn set_flash(&self, code: &str) -> HeaderValue {
        self.set(&self.flash, code, FLASH_AGE, SameSite::Lax)
    }

    pub(crate) fn clear_flash(&self) -> HeaderValue {
        self.set(&self.flash, "", Duration::ZERO, SameSite::Lax)
    }

    fn set(&self, name: &str, value: &str, age: Duration, same_site: SameSite) -> HeaderValue {
        let mut builder = Cookie::build((name, value))
            .path(self.path)
            .http_only(true)
            .secure(self.secure)
            .same_site(same_site)
            .max_age(time::Duration::seconds(i64::try_from(age.as_secs()).unwrap_or(i64::MAX)));
        if let Some(domain) = &self.domain {
            builder = builder.domain(domain);
        }
        // Names come from the configuration, which checked them; values are base64url or codes.
        HeaderValue::from_str(&builder.build().to_string())
            .expect("cookie names and values are plain ASCII")
    }
}

/// Adds a `Set-Cookie` to an answer.
pub(crate) fn append(headers: &mut HeaderMap, cookie: HeaderValue) {
    headers.append(SET_COOKIE, cookie);
}

fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut found = None;
    for header in headers.get_all(COOKIE) {
        // What other applications of the same domain put beside ours may be anything.
        for pair in header.as_bytes().split(|byte| *byte == b';') {
            let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
            let (key, value) = pair.split_at(equals);
            if key.trim_ascii() != name.as_bytes() {
                continue;
            }
            let value = str::from_utf8(&value[1..]).ok()?.trim();
            match found {
                None => found = Some(value),
                Some(same) if same == value => {}
                Some(_) => return None,
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookies: &[&str]) -> HeaderMap {
        cookies.iter().map(|c| (COOKIE, HeaderValue::from_str(c).unwrap())).collect()
    }

    #[test]
    fn two_different_cookies_of_one_name_count_as_none() {
        assert_eq!(single(&headers(&["a=1; b=2"]), "b"), Some("2"));
        assert_eq!(single(&headers(&["b=2", "b=2"]), "b"), Some("2"));
        assert_eq!(single(&headers(&["b=2; b=3"]), "b"), None);
        assert_eq!(single(&headers(&["b=2", "b=3"]), "b"), None);
        assert_eq!(single(&headers(&["ab=2; junk; =; b"]), "b"), None);
        assert_eq!(single(&headers(&[]), "b"), None);
    }

    #[test]
    fn what_others_put_beside_a_cookie_is_nothing_to_it() {
        let of = |bytes: &[u8]| {
            let headers: HeaderMap =
                [(COOKIE, HeaderValue::from_bytes(bytes).unwrap())].into_iter().collect();
            single(&headers, "b").map(str::to_owned)
        };
        assert_eq!(of("a=Zoë; b=2".as_bytes()).as_deref(), Some("2"));
        assert_eq!(of(b"\xff=\xfe;\tb = 2 ; c=\xff").as_deref(), Some("2"));
        assert_eq!(of(b"b=2; b=\xff"), None);
    }
}
