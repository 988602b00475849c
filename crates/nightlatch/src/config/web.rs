//! Addresses, origins and whom the HTTP layer trusts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::{Scheme, WebOrigin};

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
