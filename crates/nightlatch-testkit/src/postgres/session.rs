//! Somebody else's connection to the same database: holds locks, watches, and takes up room.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use super::PostgresServer;
use crate::wait::wait_until;

/// How long something may take that is waited for in the database.
const LIMIT: Duration = Duration::from_mins(1);

/// A connection as superuser. Dropped, it is closed, and what it held is free.
pub struct Session {
    client: Client,
    _connection: JoinSet<()>,
}

impl PostgresServer {
    /// Connects as superuser.
    pub async fn session(&self, database: &str) -> Session {
        self.try_session(&self.url(database)).await.expect("the server is there")
    }

    /// Connects by a URL.
    ///
    /// # Errors
    /// What the server said.
    pub async fn try_session(&self, url: &str) -> Result<Session, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let mut tasks = JoinSet::new();
        // Ends with the server or with the test.
        tasks.spawn(async move { drop(connection.await) });
        Ok(Session { client, _connection: tasks })
    }
}

impl Session {
    /// Runs SQL.
    pub async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Runs SQL that may fail.
    ///
    /// # Errors
    /// What the server said.
    pub async fn try_run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }

    /// The number that a query gives (`bigint`).
    pub async fn number(&self, sql: &str) -> i64 {
        let row = self.client.query_one(sql, &[]).await;
        row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// Waits until a query gives at least `least`.
    pub async fn wait_for(&self, sql: &str, least: i64) {
        wait_until(sql, LIMIT, async || self.number(sql).await >= least).await;
    }
}
