//! What a server says of itself and of our role there, from views that everybody may read.

use std::time::Duration;

use nightlatch_core::FailureClass;
use tokio_postgres::Row;

use super::PostgresVisit;

/// What is known of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostgresState {
    /// Major version and minor one: 150018 is 15.18.
    pub version: i32,
    /// Whom it takes us for.
    pub role: String,
    /// The database that we are in.
    pub database: String,
    /// Whether it follows another one.
    pub is_standby: bool,
    /// Whether transactions begin without the right to change anything (`default_transaction_read_only`).
    pub is_read_only: bool,
    /// Whether TLS is spoken; behind a pool that is said of the way from there.
    pub is_encrypted: bool,
    /// Connections of the server: how many there are, and how many there may be for others than
    /// superusers.
    pub connections: (i64, i64),
    /// The same of our role; `None`: it may have as many as the server.
    pub of_role: Option<(i64, i64)>,
    /// The same of our database.
    pub of_database: Option<(i64, i64)>,
    /// When statements are ended, as it holds in this connection.
    pub statement_timeout: Option<Duration>,
    /// When waiting for a lock is.
    pub lock_timeout: Option<Duration>,
    /// When a connection is ended that is not used.
    pub idle_session_timeout: Option<Duration>,
}

const STATE: &str = "
    SELECT current_setting('server_version_num')::int AS version,
        current_user::text AS role,
        current_database()::text AS database,
        pg_is_in_recovery() AS is_standby,
        current_setting('default_transaction_read_only') = 'on' AS is_read_only,
        coalesce((SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()), false)
            AS is_encrypted,
        (SELECT sum(numbackends)::bigint FROM pg_catalog.pg_stat_database) AS used,
        current_setting('max_connections')::bigint
            - current_setting('superuser_reserved_connections')::bigint AS most,
        (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = current_user) AS role_used,
        (SELECT rolconnlimit::bigint FROM pg_catalog.pg_roles WHERE rolname = current_user)
            AS role_most,
        (SELECT sum(numbackends)::bigint FROM pg_catalog.pg_stat_database
            WHERE datname = current_database()) AS database_used,
        (SELECT datconnlimit::bigint FROM pg_catalog.pg_database WHERE datname = current_database())
            AS database_most,
        (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'statement_timeout')
            AS statement_timeout,
        (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'lock_timeout')
            AS lock_timeout,
        (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout')
            AS idle_session_timeout";

impl PostgresVisit<'_> {
    /// What the server says of itself.
    ///
    /// # Errors
    /// The class of the failure.
    pub async fn state(&self) -> Result<PostgresState, FailureClass> {
        let row = self.row(STATE, &[]).await?;
        read(&row).map_err(|_| FailureClass::Protocol)
    }
}

fn read(row: &Row) -> Result<PostgresState, tokio_postgres::Error> {
    let number = |name| row.try_get::<_, Option<i64>>(name);
    // Below zero is without a limit.
    let limited = |used, most| {
        let (used, most) = (number(used)?.unwrap_or_default(), number(most)?);
        Ok::<_, tokio_postgres::Error>(most.filter(|most| *most >= 0).map(|most| (used, most)))
    };
    let span = |name| {
        let millis = number(name)?.and_then(|millis| u64::try_from(millis).ok());
        let millis = millis.filter(|millis| *millis > 0);
        Ok::<_, tokio_postgres::Error>(millis.map(Duration::from_millis))
    };
    Ok(PostgresState {
        version: row.try_get("version")?,
        role: row.try_get("role")?,
        database: row.try_get("database")?,
        is_standby: row.try_get("is_standby")?,
        is_read_only: row.try_get("is_read_only")?,
        is_encrypted: row.try_get("is_encrypted")?,
        connections: (number("used")?.unwrap_or_default(), number("most")?.unwrap_or_default()),
        of_role: limited("role_used", "role_most")?,
        of_database: limited("database_used", "database_most")?,
        statement_timeout: span("statement_timeout")?,
        lock_timeout: span("lock_timeout")?,
        idle_session_timeout: span("idle_session_timeout")?,
    })
}
