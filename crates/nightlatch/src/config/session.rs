//! Sessions and their cookie.

use std::time::Duration;

/// Life times of a session and the attributes of its cookie.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Absolute timeout of an ordinary session.
    pub age: Duration,
    /// Absolute timeout with `remember: true`.
    pub remember_age: Duration,
    /// Idle timeout; `None`: off.
    pub idle_timeout: Option<Duration>,
    /// The cookie's name without the prefix, see [`SessionConfig::cookie_name`].
    pub cookie_base_name: String,
    /// Whether the cookie is sent over TLS only. Always true in production.
    pub cookie_secure: bool,
    /// When browsers send the cookie with requests from other sites.
    pub cookie_same_site: SameSite,
    /// The domain whose hosts share the cookie; `None`: this host alone.
    pub cookie_domain: Option<String>,
}

/// The `SameSite` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Never from other sites, not even by following a link.
    Strict,
    /// By following a link only.
    Lax,
    /// Always; needs Secure.
    None,
}

impl SameSite {
    /// As it stands in `Set-Cookie`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

impl SessionConfig {
    /// The cookie's full name. Browsers enforce the prefix: nobody but this host (`__Host-`), and
    /// nothing without TLS (`__Secure-`), can set such a cookie.
    #[must_use]
    pub fn cookie_name(&self) -> String {
        let prefix = match (self.cookie_secure, &self.cookie_domain) {
            (false, _) => "",
            (true, None) => "__Host-",
            (true, Some(_)) => "__Secure-",
        };
        format!("{prefix}{}", self.cookie_base_name)
    }
}
