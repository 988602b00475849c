//! What every handler can reach: the use cases, the settings, and the state of the node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use nightlatch_core::{Deadline, Service, Session, Timestamp};
use tokio_util::task::TaskTracker;

use crate::config::{Config, Environment, WebOrigin};
use crate::health::Health;
use crate::http::cookie::CookieNames;
use crate::http::pages;
use crate::http::sockets::Sockets;
use crate::http::traffic::Traffic;
use crate::jwt::Jwt;
use crate::metrics::Metrics;
use crate::status::Board;
use crate::traces::Traces;

/// The state of the HTTP layer.
#[derive(Clone)]
pub struct App {
    /// The use cases.
    pub service: Arc<Service>,
    /// Writes access tokens, and tells their keys.
    pub jwt: Arc<Jwt>,
    /// What operators decided.
    pub settings: Settings,
    /// The state of what is beneath.
    pub health: Arc<Health>,
    /// What goes on behind an answer; a stop waits for it.
    pub tasks: TaskTracker,
    /// What was served.
    pub traffic: Arc<Traffic>,
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    /// How this node is and was.
    pub board: Arc<Board>,
    /// Sockets that are open.
    pub sockets: Arc<Sockets>,
    /// Makes spans, where requests are traced.
    pub traces: Option<Arc<Traces>>,
}

/// What the HTTP layer needs of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides on error detail.
    pub environment: Environment,
    /// The origin that browsers see.
    pub public_origin: WebOrigin,
    /// Whether the origin that a request's own Host names is ours, too.
    pub trusts_host: bool,
    /// Origins that may call with credentials.
    pub allowed_origins: Vec<WebOrigin>,
    /// Hosts that `next=` may lead to.
    pub redirect_hosts: Vec<WebOrigin>,
    /// Where a login leads without `next=`.
    pub login_redirect: String,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Names and attributes of the cookies.
    pub cookies: CookieNames,
    /// The longest a request takes.
    pub request_deadline: Duration,
    /// The longest a request takes in which a password is hashed.
    pub login_deadline: Duration,
    /// Whether the API reference is served.
    pub api_docs: bool,
    /// Whether `/metrics` is served here: it has no address of its own.
    pub serves_metrics: bool,
}

impl Settings {
    /// What the configuration says, of a server that listens on `bound`.
    #[must_use]
    pub fn of(config: &Config, bound: SocketAddr) -> Self {
        let web = &config.web;
        Self {
            environment: config.environment,
            public_origin: web.public_origin(bound),
            trusts_host: !config.environment.is_production(),
            allowed_origins: web.allowed_origins.clone(),
            redirect_hosts: web.redirect_hosts.clone(),
            login_redirect: web.login_redirect_url.clone(),
            trusted_proxies: web.trusted_proxies.clone(),
            cookies: CookieNames::new(&config.session),
            request_deadline: config.limits.request_deadline,
            login_deadline: config.limits.login_deadline,
            api_docs: web.api_docs,
            serves_metrics: web.metrics_listen.is_none(),
        }
    }
}

/// The longest a session check takes.
const CHECK_DEADLINE: Duration = Duration::from_millis(400);

impl App {
    /// The same as the operators' page has it: with cookies of its own, and reached by whatever name leads
    /// to its address, from nowhere else.
    pub(crate) fn for_operators(&self) -> Self {
        let mut app = self.clone();
        let settings = &mut app.settings;
        settings.cookies = settings.cookies.for_operators();
        settings.trusts_host = true;
        settings.allowed_origins.clear();
        settings.redirect_hosts.clear();
        pages::OPERATOR.clone_into(&mut settings.login_redirect);
        app
    }

    /// The deadline of a session check that begins now.
    pub(crate) fn check_deadline(&self) -> Deadline {
        self.within(CHECK_DEADLINE.min(self.settings.request_deadline))
    }

    /// The deadline of a request that begins now.
    pub(crate) fn deadline(&self) -> Deadline {
        self.within(self.settings.request_deadline)
    }

    /// The deadline of a request that begins now and hashes a password.
    pub(crate) fn login_deadline(&self) -> Deadline {
        self.within(self.settings.login_deadline)
    }

    /// When a session that is used now expires if it is not used again.
    pub(crate) fn idle_expiry(&self) -> Option<Timestamp> {
        self.service.policy().idle_timeout.map(|idle| self.service.now().after(idle))
    }

    /// When a session expires if it is not used again.
    pub(crate) fn idle_expiry_of(&self, session: &Session) -> Option<Timestamp> {
        let idle = self.service.policy().idle_timeout?;
        Some(session.last_seen_at.after(idle).min(session.expires_at))
    }

    fn within(&self, span: Duration) -> Deadline {
        Deadline::within(self.service.clock(), span)
    }
}
