//! Sessions and their cookie.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::reader::Reader;
use super::setting::Form;
use super::value::{self, Wrong};
use super::{Scheme, WebOrigin};

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
    fn parse(text: &str, form: Form) -> Result<Self, Wrong> {
        Ok(match value::word_of(text, form)? {
            "lax" => Self::Lax,
            "none" => Self::None,
            _ => Self::Strict,
        })
    }

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

impl SessionConfig {
    pub(super) fn read(reader: &mut Reader, public_url: Option<&WebOrigin>) -> Self {
        let idle = reader.required("SESSION_IDLE_TIMEOUT", value::seconds);
        let cookie_secure = read_secure(reader, public_url);
        Self {
            age: reader.required("SESSION_COOKIE_AGE", value::seconds),
            remember_age: reader.required("SESSION_REMEMBER_AGE", value::seconds),
            idle_timeout: (!idle.is_zero()).then_some(idle),
            cookie_base_name: reader.required("SESSION_COOKIE_NAME", cookie_name),
            cookie_secure,
            cookie_same_site: read_same_site(reader, cookie_secure),
            cookie_domain: reader
                .optional("SESSION_COOKIE_DOMAIN", |text, _| cookie_domain(text, public_url)),
        }
    }
}

fn read_secure(reader: &mut Reader, public_url: Option<&WebOrigin>) -> bool {
    const NAME: &str = "SESSION_COOKIE_SECURE";
    let is_https = public_url.is_some_and(WebOrigin::is_https);
    let by_default = is_https || !reader.environment().is_development();
    let secure = reader.optional(NAME, value::switch).unwrap_or(by_default);
    if !secure && reader.environment().is_production() {
        let why =
            "cannot be off in production: anybody on the way could read the cookie; taken as on";
        reader.remark(NAME, Wrong::new(why).better("on"));
    }
    let secure = secure || reader.environment().is_production();
    if secure && public_url.is_some_and(|origin| !origin.is_https()) {
        let why = "browsers keep no Secure cookie of an http address, this machine's own aside";
        reader.remark("PUBLIC_URL", Wrong::new(why).better("https://login.example.com"));
    }
    reader.amend(NAME, if secure { "on" } else { "off" }.to_owned());
    secure
}

fn read_same_site(reader: &mut Reader, secure: bool) -> SameSite {
    const NAME: &str = "SESSION_COOKIE_SAMESITE";
    let same_site = reader.required(NAME, SameSite::parse);
    if same_site == SameSite::None && !secure {
        let why = "browsers refuse SameSite=None without Secure; taken as lax";
        reader.remark(NAME, Wrong::new(why).better("lax"));
        reader.amend(NAME, "lax".to_owned());
        return SameSite::Lax;
    }
    same_site
}

fn cookie_name(text: &str, _: Form) -> Result<String, Wrong> {
    let base = ["__Host-", "__Secure-"].iter().find_map(|prefix| text.strip_prefix(prefix));
    let base = base.unwrap_or(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if (1..=COOKIE_NAME_CHARS_MAX).contains(&base.len()) && base.chars().all(is_plain) {
        return Ok(base.to_owned());
    }
    let better: String =
        base.chars().filter(|c| is_plain(*c)).take(COOKIE_NAME_CHARS_MAX).collect();
    let wrong = Wrong::new("is no cookie name of 1 to 64 letters, digits, _, - and .");
    Err(if better.is_empty() { wrong } else { wrong.better(better) })
}

const COOKIE_NAME_CHARS_MAX: usize = 64;

/// Browsers refuse a cookie whose domain is not the host's own, so logins would not last.
fn cookie_domain(text: &str, public_url: Option<&WebOrigin>) -> Result<String, Wrong> {
    let domain = text.trim_start_matches('.').to_ascii_lowercase();
    let Ok(origin) = WebOrigin::from_authority(Scheme::Https, &domain) else {
        return Err(Wrong::new("is no domain"));
    };
    if origin.host() != domain || !domain.contains('.') || domain.parse::<Ipv4Addr>().is_ok() {
        return Err(Wrong::new("is no domain with a dot in it"));
    }
    let Some(public) = public_url else { return Ok(domain) };
    let is_ours = public.host() == domain
        || public.host().strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'));
    if is_ours {
        return Ok(domain);
    }
    Err(Wrong::new("is not the domain of PUBLIC_URL, so browsers would refuse the cookie"))
}
