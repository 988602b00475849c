//! Addresses, origins and whom the HTTP layer trusts.
//!
//! Everything here decides whom a browser or a proxy is believed to be, so what cannot be read is
//! left out and never guessed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::reader::Reader;
use super::value::{self, Wrong};
use super::{Scheme, WebOrigin, WebOriginError};

/// What the HTTP layer is configured by.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where `/metrics` and `/status` live, if not on `listen`.
    pub metrics_listen: Option<SocketAddr>,
    /// `PUBLIC_URL`. `None` (never in production): the address listened on, see
    /// [`WebConfig::public_origin`].
    pub public_url: Option<WebOrigin>,
    /// Exact https origins that `next=` may lead to.
    pub redirect_hosts: Vec<WebOrigin>,
    /// Exact origins that may call with credentials.
    pub allowed_origins: Vec<WebOrigin>,
    /// Where a login leads without `next=`: a path on our own origin, or an address on an origin
    /// of `redirect_hosts`.
    pub login_redirect_url: String,
    /// Networks whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether `/api/docs` and `/api/openapi.json` are served.
    pub api_docs: bool,
}

impl WebConfig {
    /// Our own origin: `PUBLIC_URL`, else where `bound` is reached from this machine.
    #[must_use]
    pub fn public_origin(&self, bound: SocketAddr) -> WebOrigin {
        self.public_url.clone().unwrap_or_else(|| origin_of(bound))
    }
}

/// Whether strangers may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Anybody may.
    Open,
    /// Only `nightlatch user add` creates users.
    Closed,
}

/// "Any address" is nothing a browser can open, so the loopback address stands for it.
fn origin_of(bound: SocketAddr) -> WebOrigin {
    let ip = match bound.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    WebOrigin::of_address(Scheme::Http, SocketAddr::new(ip, bound.port()))
}

impl WebConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let listen = reader.required("NIGHTLATCH_LISTEN", |text, _| address(text));
        let public_url = read_public_url(reader, listen);
        let redirect_hosts = reader.list("REDIRECT_HOSTS", redirect_host);
        let own = public_url.as_ref();
        let login_redirect_url = reader.required("LOGIN_REDIRECT_URL", |text, _| {
            redirect_url(text, redirect_hosts.iter().chain(own))
        });
        Self {
            listen,
            metrics_listen: read_metrics_listen(reader, listen),
            allowed_origins: reader.list("ALLOWED_ORIGINS", allowed_origin),
            login_redirect_url,
            trusted_proxies: read_trusted_proxies(reader),
            api_docs: reader.required("API_DOCS", value::switch),
            public_url,
            redirect_hosts,
        }
    }
}

impl Registration {
    pub(super) fn read(reader: &mut Reader) -> Self {
        reader.required("REGISTRATION", |text, form| {
            Ok(if value::word_of(text, form)? == "open" { Self::Open } else { Self::Closed })
        })
    }
}

fn read_public_url(reader: &mut Reader, listen: SocketAddr) -> Option<WebOrigin> {
    const NAME: &str = "PUBLIC_URL";
    let public_url = reader.optional(NAME, |text, _| public_url(text));
    if public_url.is_some() {
        return public_url;
    }
    if !reader.environment().is_production() {
        reader.amend(NAME, origin_of(listen).to_string());
    } else if !reader.is_set(NAME) {
        let why = "is required in production: redirects and Origin checks go by it";
        let wrong = Wrong::new(why).better("https://login.example.com");
        reader.fatal(NAME, wrong.id("setting-missing"));
    }
    None
}

fn read_metrics_listen(reader: &mut Reader, listen: SocketAddr) -> Option<SocketAddr> {
    const NAME: &str = "NIGHTLATCH_METRICS_LISTEN";
    let metrics = reader.optional(NAME, |text, _| match text {
        "none" | "off" => Ok(None),
        text => address(text).map(Some),
    });
    let metrics = metrics.flatten();
    if metrics == Some(listen) && listen.port() != 0 {
        let why = "is the address that NIGHTLATCH_LISTEN names already; it is left out";
        reader.remark(NAME, Wrong::new(why).better("127.0.0.1:9464"));
        reader.amend(NAME, "none".to_owned());
        return None;
    }
    metrics
}

fn read_trusted_proxies(reader: &mut Reader) -> Vec<IpNet> {
    const NAME: &str = "TRUSTED_PROXIES";
    let networks = reader.list(NAME, network);
    if networks.iter().any(|network| network.prefix_len() == 0) {
        let why = "believes everybody's word about where a request comes from, so throttles by address do not hold";
        reader.remark(NAME, Wrong::new(why).better("10.0.0.0/8"));
    }
    networks
}

fn address(text: &str) -> Result<SocketAddr, Wrong> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong = Wrong::new("is no address:port");
    let without_scheme = text.trim_start_matches("http://").trim_end_matches('/');
    let better = match without_scheme.rsplit_once(':') {
        Some(("localhost", port)) => format!("127.0.0.1:{port}"),
        Some(("" | "*", port)) => format!("0.0.0.0:{port}"),
        Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => format!("[{host}]:{port}"),
        Some((host, port)) => format!("{host}:{port}"),
        None if without_scheme.parse::<u16>().is_ok() => format!("127.0.0.1:{without_scheme}"),
        None => format!("{without_scheme}:8080"),
    };
    Err(if better.parse::<SocketAddr>().is_ok() { wrong.better(better) } else { wrong })
}

fn public_url(text: &str) -> Result<WebOrigin, Wrong> {
    let wrong = match WebOrigin::split(text) {
        // What the address bar shows ends in a slash.
        Ok((origin, "" | "/")) => return Ok(origin),
        Ok((origin, _)) => {
            return Err(Wrong::new(WebOriginError::Path.to_string()).better(origin.to_string()));
        }
        Err(error) => Wrong::new(format!("is no origin: {error}")),
    };
    match WebOrigin::from_authority(Scheme::Https, text.trim_end_matches('/')) {
        Ok(origin) => Err(wrong.better(origin.to_string())),
        Err(_) => Err(wrong.better("https://login.example.com")),
    }
}

fn allowed_origin(text: &str) -> Result<WebOrigin, Wrong> {
    if text == "*" {
        return Err(Wrong::new("would let every site call with its visitors' credentials"));
    }
    public_url(text)
}

/// A host, with a port if need be; people paste it with the scheme in front.
fn redirect_host(text: &str) -> Result<WebOrigin, Wrong> {
    let host = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
    WebOrigin::from_authority(Scheme::Https, host).map_err(|_| {
        let wrong = Wrong::new("is no https host");
        match WebOrigin::split(text) {
            Ok((origin, _)) => wrong.better(origin.host()),
            Err(_) => wrong,
        }
    })
}

fn network(text: &str) -> Result<IpNet, Wrong> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    text.parse().map_err(|_| Wrong::new("is neither a network such as 10.0.0.0/8 nor an address"))
}

fn redirect_url<'a>(
    text: &str,
    mut own: impl Iterator<Item = &'a WebOrigin>,
) -> Result<String, Wrong> {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '\\';
    if text.len() > REDIRECT_URL_BYTES_MAX || !text.chars().all(is_plain) {
        return Err(Wrong::new("is no path"));
    }
    // "//host" is another site, not a path.
    if text.starts_with('/') && !text.starts_with("//") {
        return Ok(text.to_owned());
    }
    match WebOrigin::split(text) {
        Ok((origin, _)) if own.any(|own| *own == origin) => Ok(text.to_owned()),
        Ok(_) => Err(Wrong::new("leads to a host that is not in REDIRECT_HOSTS")),
        Err(_) => Err(Wrong::new("is neither a path on this server nor an address")),
    }
}

const REDIRECT_URL_BYTES_MAX: usize = 2048;
