//! Forward-auth: what a proxy is told, and what comes of it behind real ones.

mod check;
mod proxied;

use std::sync::Arc;

use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::server::{Launch, NightlatchServer};

use crate::record::launch;

/// The hosts of the guide: for everybody who is logged in, for a group, and the login.
pub(crate) const APP: &str = "https://app.example.org";
const STAFF: &str = "https://staff.example.org";
pub(crate) const LOGIN: &str = "https://login.example.org";

/// Nightlatch as `docs/forward-auth.md` says.
pub(crate) fn as_in_the_guide() -> Launch {
    launch()
        .in_production()
        .set("PUBLIC_URL", LOGIN)
        .set("SESSION_COOKIE_DOMAIN", "example.org")
        .set("REDIRECT_HOSTS", &format!("{APP},{STAFF}"))
        .set("TRUSTED_PROXIES", "127.0.0.1/32")
}

/// Two servers over one record, which one of them can lose.
pub(crate) struct Parted {
    pub(crate) here: NightlatchServer,
    pub(crate) there: NightlatchServer,
    way: ChaosProxy,
    /// Last: the servers have ended when their record goes.
    _postgres: Arc<PostgresServer>,
}

impl Parted {
    pub(crate) async fn serve(launch: Launch) -> Self {
        let postgres = PostgresServer::shared();
        let way = ChaosProxy::start(postgres.port()).await;
        let url = postgres.url(&postgres.create_database());
        let port = |port: u16| format!(":{port}/");
        let url_here = url.replace(&port(postgres.port()), &port(way.port()));
        let here = launch.clone().set("DATABASE_URL", &url_here).ready().await;
        let there = launch.set("DATABASE_URL", &url).ready().await;
        Self { here, there, way, _postgres: postgres }
    }

    /// From now on the server here does not reach the record.
    pub(crate) async fn part(&self) {
        self.way.set(Fault::Refuse).await;
    }

    /// From now on it does again.
    pub(crate) async fn join(&self) {
        self.way.set(Fault::None).await;
    }
}
