//! Web origins: scheme, host and port (RFC 6454), compared exactly.
//!
//! Redirects, CORS and Origin checks all come down to "is this the same origin". A comparison of
//! strings would take `https://a.example:443` and `https://A.example` for strangers.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebOrigin {
    scheme: Scheme,
    // Lower case; IPv6 in brackets.
    host: String,
    port: u16,
}

/// The scheme of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WebOriginError {
    /// No `http://` or `https://` in front.
    #[error("it begins with neither https:// nor http://")]
    Scheme,
    /// A host that cannot be one.
    #[error("the host may hold only ASCII letters, digits, dots and hyphens (or be an address)")]
    Host,
    /// A port that cannot be one.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// User name or password.
    #[error("it holds a user name")]
    UserInfo,
    /// Something behind the port.
    #[error("it holds more than scheme, host and port")]
    Path,
}

impl Scheme {
    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl WebOrigin {
    /// The origin of a bound address.
    #[must_use]
    pub fn of_address(scheme: Scheme, address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        Self { scheme, host, port: address.port() }
    }

    /// Splits an absolute URL into its origin and the rest, which is empty or begins with `/`,
    /// `?` or `#`.
    ///
    /// # Errors
    /// [`WebOriginError`] when it does not begin with an origin.
    pub fn split(url: &str) -> Result<(Self, &str), WebOriginError> {
        let (scheme, rest) = split_scheme(url).ok_or(WebOriginError::Scheme)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        Ok((Self::from_authority(scheme, authority)?, rest))
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Whether it never leaves this machine.
    #[must_use]
    pub fn is_of_this_machine(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "[::1]") || self.host.starts_with("127.")
    }

    /// The host, in lower case; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own if none was given.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port, as the `Host` header has them: without the scheme's own port.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            return self.host.clone();
        }
        format!("{}:{}", self.host, self.port)
    }

    /// Reads `host[:port]`, as the `Host` header has it.
    ///
    /// # Errors
    /// [`WebOriginError`] when it is not one.
    pub fn from_authority(scheme: Scheme, authority: &str) -> Result<Self, WebOriginError> {
        if authority.contains('@') {
            return Err(WebOriginError::UserInfo);
        }
        let (host, port) = split_port(authority);
        let port = match port {
            None => scheme.default_port(),
            Some(digits) => parse_port(digits)?,
        };
        Ok(Self { scheme, host: parse_host(host)?, port })
    }
}

impl FromStr for WebOrigin {
    type Err = WebOriginError;

    fn from_str(text: &str) -> Result<Self, WebOriginError> {
        match Self::split(text)? {
            (origin, "") => Ok(origin),
            (_, _) => Err(WebOriginError::Path),
        }
    }
}

/// As browsers write it in `Origin`: without the scheme's own port.
impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

fn split_scheme(url: &str) -> Option<(Scheme, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    if scheme.eq_ignore_ascii_case("https") {
        return Some((Scheme::Https, rest));
    }
    scheme.eq_ignore_ascii_case("http").then_some((Scheme::Http, rest))
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    // The colons inside an IPv6 address stand in brackets.
    let after_address = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[after_address..].find(':') {
        None => (authority, None),
        Some(at) => {
            let (host, port) = authority.split_at(after_address + at);
            (host, Some(&port[1..]))
        }
    }
}

fn parse_port(digits: &str) -> Result<u16, WebOriginError> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(WebOriginError::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(WebOriginError::Port),
        Ok(port) => Ok(port),
    }
}

fn parse_host(host: &str) -> Result<String, WebOriginError> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| WebOriginError::Host)?;
        return Ok(format!("[{address}]"));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            // Underscores are no host names by the book, but container names have them.
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err(WebOriginError::Host);
    }
    Ok(host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        let cases: &[(&str, Result<&str, WebOriginError>)] = &[
            ("https://a.example", Ok("https://a.example")),
            ("HTTPS://A.Example:443", Ok("https://a.example")),
            ("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080")),
            ("http://[0:0::1]:80", Ok("http://[::1]")),
            ("http://auth_service:8000", Ok("http://auth_service:8000")),
            ("https://a.example/", Err(WebOriginError::Path)),
            ("https://a.example?x", Err(WebOriginError::Path)),
            ("https://a.example#x", Err(WebOriginError::Path)),
            ("https://me@a.example", Err(WebOriginError::UserInfo)),
            ("https://a.example:0", Err(WebOriginError::Port)),
            ("https://a.example:65536", Err(WebOriginError::Port)),
            ("https://a.example:+80", Err(WebOriginError::Port)),
            ("https://a.example:", Err(WebOriginError::Port)),
            ("https://", Err(WebOriginError::Host)),
            ("https://*.example", Err(WebOriginError::Host)),
            ("https://a.example\\@b", Err(WebOriginError::UserInfo)),
            ("https://a.example\\b", Err(WebOriginError::Host)),
            ("https://bücher.example", Err(WebOriginError::Host)),
            ("https://-a.example", Err(WebOriginError::Host)),
            ("https://[::1", Err(WebOriginError::Port)),
            ("ftp://a.example", Err(WebOriginError::Scheme)),
            ("a.example", Err(WebOriginError::Scheme)),
            ("null", Err(WebOriginError::Scheme)),
            ("*", Err(WebOriginError::Scheme)),
        ];
        for (text, expected) in cases {
            let parsed = text.parse::<WebOrigin>().map(|origin| origin.to_string());
            assert_eq!(parsed.as_deref().map_err(|e| *e), *expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_what_is_read_reads_the_same(text in "\\PC{0,80}") {
            for url in [text.clone(), format!("https://{text}")] {
                if let Ok((origin, _)) = WebOrigin::split(&url) {
                    prop_assert_eq!(origin.to_string().parse::<WebOrigin>(), Ok(origin));
                }
            }
        }
    }
}
