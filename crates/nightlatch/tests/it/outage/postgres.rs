//! What the rows on `PostgreSQL` stand on: a server, a database in it, and a proxy in front of it.

mod bounds;
mod failover;
mod gone;
mod healable;
mod refusing;

use std::sync::Arc;

use nightlatch_testkit::chaos_proxy::ChaosProxy;
use nightlatch_testkit::postgres::{PostgresServer, Session};
use nightlatch_testkit::server::Launch;

use super::drill::under_load;
use super::report::Wanted;

const HEALABLE: &str = "PostgreSQL, short or healable";
const GONE: &str = "PostgreSQL, gone";

/// What session checks are told by the node that began the sessions, while it does not reach the
/// record.
pub(super) const FROM_COPIES: Wanted = Wanted::Served;

/// The same on one of several nodes, which may have no copy of a session that another has begun.
pub(super) const FROM_OWN_COPIES: Wanted = Wanted::Either;

/// The role that a server has where it is no superuser.
const ROLE: &str = "login_service";
const ROLE_PASSWORD: &str = "battery-staple";

/// A record, and the way there.
pub(super) struct Way {
    pub(super) postgres: Arc<PostgresServer>,
    pub(super) database: String,
    pub(super) proxy: ChaosProxy,
}

impl Way {
    /// A database of the server that tests share, for faults of the way there.
    pub(super) async fn shared() -> Self {
        Self::to(PostgresServer::shared()).await
    }

    /// A server of its own, for faults of the server.
    pub(super) async fn alone(settings: &[(&str, &str)]) -> Self {
        Self::to(Arc::new(PostgresServer::launch_with(settings))).await
    }

    pub(super) async fn to(postgres: Arc<PostgresServer>) -> Self {
        let database = postgres.create_database();
        let proxy = ChaosProxy::start(postgres.port()).await;
        Self { postgres, database, proxy }
    }

    /// A server that goes this way.
    pub(super) fn node(&self) -> Launch {
        let url = self.postgres.url(&self.database);
        let (port, proxy) = (self.postgres.port(), self.proxy.port());
        node_on(&url.replace(&format!(":{port}/"), &format!(":{proxy}/")))
    }

    /// A server that goes straight.
    pub(super) fn straight_node(&self) -> Launch {
        node_on(&self.postgres.url(&self.database))
    }

    /// A server that goes straight, and has no more rights than it needs.
    pub(super) fn modest_node(&self) -> Launch {
        let database = &self.database;
        self.postgres.sql(
            database,
            &format!(
                "CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE_PASSWORD}';
                 GRANT CREATE ON DATABASE {database} TO {ROLE}"
            ),
        );
        node_on(&self.postgres.url_as(ROLE, ROLE_PASSWORD, database))
    }

    /// Somebody else in the same database.
    pub(super) async fn session(&self) -> Session {
        self.postgres.session(&self.database).await
    }
}

pub(super) fn node_on(url: &str) -> Launch {
    under_load().set("DATABASE_URL", url)
}

/// Ends the connections of all servers to this database, whatever runs in them.
const END_CONNECTIONS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'nightlatch'";

/// How many connections servers have to this database.
const CONNECTIONS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'nightlatch'";

/// How many statements of servers wait for a lock.
pub(super) const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'nightlatch'
      AND wait_event_type = 'Lock'";
