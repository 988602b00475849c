//! A visit to a `PostgreSQL` that has time to find out what is wrong: for doctor, by the connector and
//! the classes of the record, so that both are of one opinion.
//!
//! Requests never come here. Everything has a limit of its own, nothing is created and nothing is kept.

mod pooling;
mod rights;
mod state;

use std::net::IpAddr;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use nightlatch_core::{FailureClass, Timestamp};
use tokio::time::timeout;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::{Config, Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::call::Param;
use super::connect::connect;
use super::failure::classify;
use super::options::{self, PostgresOptions, PostgresOptionsError, Target};
use super::schema::Schema;
use crate::round_trips;

pub use self::pooling::Pooling;
pub use self::rights::{PostgresSchema, TableLack};
pub use self::state::PostgresState;
pub use super::tls::TlsDemand;

/// How long connecting and logging in may take at one host.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// How long one answer may take.
const ASK_LIMIT: Duration = Duration::from_secs(3);

/// Some hundreds are many.
const DATABASES: &str = "
    SELECT datname::text FROM pg_catalog.pg_database
    WHERE datallowconn AND NOT datistemplate AND has_database_privilege(oid, 'CONNECT')
    ORDER BY datname LIMIT 1000";

/// Visits the hosts of a URL, one at a time.
pub struct PostgresInspector {
    target: Target,
    tls: MakeRustlsConnect,
    schema: Schema,
    /// When statements, and waits for locks, are ended.
    limits: (Duration, Duration),
}

/// A host of the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresHost {
    /// Its name, or the folder of its socket.
    pub name: String,
    /// Where it is, if that is said apart from its name.
    pub address: Option<IpAddr>,
    /// 1 to 65535.
    pub port: u16,
    /// Whether it is reached by a socket of this machine.
    pub is_socket: bool,
}

/// Why a visit ended at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostgresRefusal {
    /// As health would name it.
    pub class: FailureClass,
    /// What is known besides.
    pub cause: Option<PostgresCause>,
}

/// What a server says more exactly than by a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresCause {
    /// The URL's database is not there.
    NoSuchDatabase,
    /// Nobody is called as the URL's user.
    NoSuchRole,
    /// That role may not log in.
    NoLogin,
    /// No line of `pg_hba.conf` lets this user in from here, or one keeps it out.
    NoAccessRule,
    /// The role has as many connections as it may.
    RoleLimit,
    /// The database has as many connections as it may.
    DatabaseLimit,
    /// A pool in between takes no settings with a connection, which one in transaction mode cannot.
    Pool,
}

/// A visit: a connection that is logged in.
pub struct PostgresVisit<'a> {
    client: ClientWrapper,
    inspector: &'a PostgresInspector,
}

impl PostgresInspector {
    /// Goes nowhere yet.
    ///
    /// # Errors
    /// [`PostgresOptionsError`] when it cannot even be tried.
    pub fn new(options: &PostgresOptions) -> Result<Self, PostgresOptionsError> {
        let schema = Schema::try_new(&options.schema)?;
        let target = options::read(options)?;
        let tls = MakeRustlsConnect::new(target.tls.clone());
        let limits = (options.statement_timeout, options.lock_timeout);
        Ok(Self { target, tls, schema, limits })
    }

    /// In the order of the URL.
    #[must_use]
    pub fn hosts(&self) -> Vec<PostgresHost> {
        self.target.hosts.iter().map(PostgresHost::of).collect()
    }

    /// Whether a pool in transaction mode is said to stand in between.
    #[must_use]
    pub const fn is_pooled(&self) -> bool {
        self.target.is_pooled
    }

    /// What is asked of TLS.
    #[must_use]
    pub const fn demand(&self) -> TlsDemand {
        self.target.demand
    }

    /// Whether the server has to show whose it is.
    #[must_use]
    pub const fn is_proven(&self) -> bool {
        self.target.is_proven
    }

    /// As whom it is asked.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.target.hosts.first()?.get_user()
    }

    /// For which database; one of the user's name, where none is said.
    #[must_use]
    pub fn database(&self) -> Option<&str> {
        self.target.hosts.first()?.get_dbname().or_else(|| self.user())
    }

    /// When statements, and waits for locks, are to be ended.
    #[must_use]
    pub const fn limits(&self) -> (Duration, Duration) {
        self.limits
    }

    /// Connects to the host of this number and logs in, as the record does.
    ///
    /// # Errors
    /// [`PostgresRefusal`], told as the record would tell it.
    pub async fn visit(&self, host: usize) -> Result<PostgresVisit<'_>, PostgresRefusal> {
        self.visit_by(&self.target.hosts[host]).await
    }

    /// The same at a server that takes no changes, which the record goes past.
    ///
    /// # Errors
    /// [`PostgresRefusal`], told as the record would tell it.
    pub async fn visit_to_read(&self, host: usize) -> Result<PostgresVisit<'_>, PostgresRefusal> {
        let mut config = self.target.hosts[host].clone();
        config.target_session_attrs(TargetSessionAttrs::Any);
        self.visit_by(&config).await
    }

    /// The databases of the host of this number that the same role may connect to; of a pool, of the server
    /// behind it. `None`: it is let into none of those that are everywhere.
    pub async fn databases(&self, host: usize) -> Option<Vec<String>> {
        let mut config = self.target.hosts[host].clone();
        config.target_session_attrs(TargetSessionAttrs::Any);
        for everywhere in ["postgres", "template1"] {
            config.dbname(everywhere);
            let Ok(visit) = self.visit_by(&config).await else { continue };
            let rows = visit.rows(DATABASES, &[]).await.ok()?;
            return rows.iter().map(|row| row.try_get(0).ok()).collect();
        }
        None
    }

    async fn visit_by(&self, config: &Config) -> Result<PostgresVisit<'_>, PostgresRefusal> {
        let limit = self.target.attempt_limit.min(CONNECT_LIMIT);
        match timeout(limit, connect(config, &self.tls)).await {
            Ok(Ok(client)) => Ok(PostgresVisit { client, inspector: self }),
            Ok(Err(error)) => Err(PostgresRefusal::of(&error)),
            Err(_) => Err(PostgresRefusal { class: FailureClass::Timeout, cause: None }),
        }
    }
}

impl PostgresHost {
    fn of(config: &Config) -> Self {
        let address = config.get_hostaddrs().first().copied();
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let (name, is_socket) = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => (name.clone(), false),
            Some(Host::Unix(path)) => (path.display().to_string(), true),
            None => (address.map(|it| it.to_string()).unwrap_or_default(), false),
        };
        Self { name, address, port, is_socket }
    }
}

impl PostgresRefusal {
    fn of(error: &Error) -> Self {
        Self { class: classify(error), cause: PostgresCause::of(error) }
    }
}

impl PostgresCause {
    /// By code where there is one of its own, else by the text that servers have had for long.
    fn of(error: &Error) -> Option<Self> {
        let answer = error.as_db_error()?;
        let says = |text: &str| answer.message().contains(text);
        match answer.code().code() {
            "3D000" => Some(Self::NoSuchDatabase),
            "28000" if says("pg_hba.conf") => Some(Self::NoAccessRule),
            "28000" if says("is not permitted to log in") => Some(Self::NoLogin),
            "28000" if says("does not exist") => Some(Self::NoSuchRole),
            "53300" if says("for role") => Some(Self::RoleLimit),
            "53300" if says("for database") => Some(Self::DatabaseLimit),
            "08P01" if says("unsupported startup parameter") => Some(Self::Pool),
            // PgBouncer's words for the first of these: of its own list, and of the server behind it.
            "08P01" if says("no such database") => Some(Self::NoSuchDatabase),
            "08P01" if says("database ") && says("does not exist") => Some(Self::NoSuchDatabase),
            _ => None,
        }
    }
}

impl PostgresVisit<'_> {
    /// How long each of so many questions, or of those of 3 s, took that the server answers without
    /// doing anything.
    ///
    /// # Errors
    /// The class of the first that was not answered.
    pub async fn round_trips(&self, count: usize) -> Result<Vec<Duration>, FailureClass> {
        round_trips::measure(count, async || self.rows("SELECT 1", &[]).await.map(drop)).await
    }

    /// What time it is there.
    ///
    /// # Errors
    /// The class of the failure.
    pub async fn time(&self) -> Result<Timestamp, FailureClass> {
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let micros = self.row(sql, &[]).await?.try_get(0);
        micros.map(Timestamp::from_micros).map_err(|error| classify(&error))
    }

    /// Why the feed cannot be listened to; `None`: it can.
    pub async fn deafness(&self) -> Option<FailureClass> {
        let listened = self.run("LISTEN nightlatch_feed; UNLISTEN nightlatch_feed").await;
        listened.err()
    }

    async fn rows(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, FailureClass> {
        let asked = timeout(ASK_LIMIT, self.client.query_typed(sql, params)).await;
        asked.map_err(|_| FailureClass::Timeout)?.map_err(|error| classify(&error))
    }

    /// The row of a statement that always gives one.
    async fn row(&self, sql: &str, params: &[Param<'_>]) -> Result<Row, FailureClass> {
        self.rows(sql, params).await?.pop().ok_or(FailureClass::Protocol)
    }

    async fn run(&self, sql: &str) -> Result<(), FailureClass> {
        let asked = timeout(ASK_LIMIT, self.client.batch_execute(sql)).await;
        asked.map_err(|_| FailureClass::Timeout)?.map_err(|error| classify(&error))
    }

    fn schema(&self) -> &Schema {
        &self.inspector.schema
    }
}
