//! Migrations: expand-only, embedded, applied once, by whichever node is first.
//!
//! The only transaction of this record. An advisory lock makes the others wait; it belongs to the
//! transaction, so a node that dies in the middle leaves neither lock nor half a schema behind.

use std::time::Duration;

use nightlatch_core::{Deadline, FailureClass, Outcome, StoreError, StoreErrorKind};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::Type;

use super::PostgresRecord;
use super::call::Param;
use super::failure::{Failure, Sent};
use super::pool::Loan;

pub(super) struct Migration {
    version: i64,
    pub(super) name: &'static str,
    /// Written for the default schema.
    sql: &'static str,
}

/// In order. A migration that was released is never edited: its checksum is in every record.
const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "0001_record",
        sql: include_str!("../../migrations/postgres/0001_record.sql"),
    },
    Migration {
        version: 2,
        name: "0002_feed_news",
        sql: include_str!("../../migrations/postgres/0002_feed_news.sql"),
    },
    Migration {
        version: 3,
        name: "0003_nodes",
        sql: include_str!("../../migrations/postgres/0003_nodes.sql"),
    },
    Migration {
        version: 4,
        name: "0004_tokens",
        sql: include_str!("../../migrations/postgres/0004_tokens.sql"),
    },
    Migration {
        version: 5,
        name: "0005_mirrors",
        sql: include_str!("../../migrations/postgres/0005_mirrors.sql"),
    },
    Migration {
        version: 6,
        name: "0006_standings",
        sql: include_str!("../../migrations/postgres/0006_standings.sql"),
    },
    Migration {
        version: 7,
        name: "0007_audit_log",
        sql: include_str!("../../migrations/postgres/0007_audit_log.sql"),
    },
    Migration {
        version: 8,
        name: "0008_application_sessions",
        sql: include_str!("../../migrations/postgres/0008_application_sessions.sql"),
    },
];

/// Names the advisory lock: "nightlch" in ASCII. One for all schemas of a database.
const LOCK_KEY: i64 = 0x6e69_6768_746c_6368;

// Read from the catalogue as from any table: `to_regclass` may answer from a cache that has not
// heard yet of what another node created while we waited for the lock.
const SCHEMA_IS_THERE: &str =
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)";

const TABLE_IS_THERE: &str = "
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = 'schema_migrations'
    )";

const DOING: &str = "migrating the schema";

/// How long a migration waits for a table that somebody reads. Everybody who asks for the table queues up
/// behind it, the servers that serve meanwhile, too: well under the 500 ms that their statements may take.
const TABLE_WAIT_MS: u32 = 100;

/// How long it then lets the others go on.
const TABLE_REST: Duration = Duration::from_millis(500);

/// A migration was applied that differs from ours.
#[derive(Debug, Error)]
#[error("migration {name} was applied with another text: this record is not from this program")]
struct ChecksumMismatch {
    name: &'static str,
}

enum MigrateError {
    Driver(tokio_postgres::Error),
    Mismatch(ChecksumMismatch),
}

impl From<tokio_postgres::Error> for MigrateError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

impl PostgresRecord {
    pub(super) async fn bring_schema_up(
        &self,
        deadline: Deadline,
    ) -> Result<Vec<String>, StoreError> {
        // Ends with the deadline.
        loop {
            let tried = self.try_to_bring_schema_up(deadline).await;
            let is_in_use =
                tried.as_ref().is_err_and(|error| error.class() == FailureClass::Locked);
            if !is_in_use || self.server.connections.remaining(deadline) < TABLE_REST {
                return tried;
            }
            sleep(TABLE_REST).await;
        }
    }

    async fn try_to_bring_schema_up(&self, deadline: Deadline) -> Result<Vec<String>, StoreError> {
        let loan =
            self.server.connections.lend(DOING, deadline).await.map_err(|failure| failure.error)?;
        let limit = self.server.connections.remaining(deadline);
        let mut sent = Sent::Nothing;
        match timeout(limit, self.migrate_on(&loan, limit, &mut sent)).await {
            Ok(Ok(applied)) => {
                loan.give_back();
                Ok(applied)
            }
            Ok(Err(error)) => {
                // Discarded, not given back: the transaction may still be open in it.
                loan.discard();
                Err(into_store_error(error, sent))
            }
            Err(_) => {
                loan.cancel();
                Err(Failure::of_deadline(sent, DOING).error)
            }
        }
    }

    async fn migrate_on(
        &self,
        loan: &Loan<'_>,
        limit: Duration,
        sent: &mut Sent,
    ) -> Result<Vec<String>, MigrateError> {
        // Read first: a role without the right to create anything serves a schema that is there.
        if self.missing(loan).await?.is_empty() {
            return Ok(Vec::new());
        }
        let client = loan.client();
        let limit = limit.as_millis();
        client
            .batch_execute(&format!(
                "BEGIN; SET LOCAL lock_timeout = {limit}; SET LOCAL statement_timeout = {limit};
                 SET LOCAL idle_in_transaction_session_timeout = {limit};
                 SELECT pg_advisory_xact_lock({LOCK_KEY})"
            ))
            .await?;
        let missing = self.missing(loan).await?;
        client.batch_execute(&format!("SET LOCAL lock_timeout = {TABLE_WAIT_MS}")).await?;
        for migration in &missing {
            self.apply(loan, migration).await?;
        }
        *sent = Sent::Write;
        client.batch_execute("COMMIT").await?;
        Ok(missing.iter().map(|migration| migration.name.to_owned()).collect())
    }

    /// What has not been applied yet. Newer migrations than ours are not our business: they only
    /// added.
    async fn missing(&self, loan: &Loan<'_>) -> Result<Vec<&'static Migration>, MigrateError> {
        if !self.is_there(loan, TABLE_IS_THERE).await? {
            return Ok(MIGRATIONS.iter().collect());
        }
        let sql =
            self.server.schema.apply("SELECT version, checksum FROM nightlatch.schema_migrations");
        let mut applied = Vec::new();
        for row in loan.client().query_typed(&sql, &[]).await? {
            applied
                .push((row.try_get::<_, i64>("version")?, row.try_get::<_, Vec<u8>>("checksum")?));
        }
        let Compared { missing, changed, .. } = compare(&applied);
        match changed {
            Some(name) => Err(MigrateError::Mismatch(ChecksumMismatch { name })),
            None => Ok(missing),
        }
    }

    async fn is_there(&self, loan: &Loan<'_>, sql: &str) -> Result<bool, MigrateError> {
        let params: &[Param] = &[(&self.server.schema.name(), Type::TEXT)];
        Ok(loan.client().query_typed_one(sql, params).await?.try_get(0)?)
    }

    async fn apply(&self, loan: &Loan<'_>, migration: &Migration) -> Result<(), MigrateError> {
        let client = loan.client();
        // Creating a schema needs a right on the database even where the schema exists.
        if !self.is_there(loan, SCHEMA_IS_THERE).await? {
            let name = self.server.schema.name();
            client.batch_execute(&format!("CREATE SCHEMA \"{name}\"")).await?;
        }
        let table = self.server.schema.apply(
            "CREATE TABLE IF NOT EXISTS nightlatch.schema_migrations (
                 version bigint PRIMARY KEY,
                 name text NOT NULL,
                 checksum bytea NOT NULL,
                 applied_at bigint NOT NULL
             )",
        );
        client.batch_execute(&table).await?;
        client.batch_execute(&self.server.schema.apply(migration.sql)).await?;
        let checksum = migration.checksum();
        let params: &[Param] = &[
            (&migration.version, Type::INT8),
            (&migration.name, Type::TEXT),
            (&checksum, Type::BYTEA),
        ];
        let note = self.server.schema.apply(
            "INSERT INTO nightlatch.schema_migrations (version, name, checksum, applied_at)
             VALUES ($1, $2, $3, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)",
        );
        client.query_typed(&note, params).await?;
        Ok(())
    }
}

/// What a record's ledger says, beside what we have.
pub(super) struct Compared {
    /// What has not been applied yet.
    pub(super) missing: Vec<&'static Migration>,
    /// One that was applied with another text than ours.
    pub(super) changed: Option<&'static str>,
    /// The latest that we do not know.
    pub(super) newer: Option<i64>,
}

/// Compares versions and checksums that were applied with ours.
pub(super) fn compare(applied: &[(i64, Vec<u8>)]) -> Compared {
    let known = |migration: &Migration| {
        applied.iter().find(|(version, _)| *version == migration.version).map(|(_, sum)| sum)
    };
    let is_changed = |it: &&Migration| known(it).is_some_and(|checksum| *checksum != it.checksum());
    let ours = MIGRATIONS.last().map_or(0, |last| last.version);
    Compared {
        missing: MIGRATIONS.iter().filter(|it| known(it).is_none()).collect(),
        changed: MIGRATIONS.iter().find(is_changed).map(|it| it.name),
        newer: applied.iter().map(|(version, _)| *version).filter(|it| *it > ours).max(),
    }
}

impl Migration {
    fn checksum(&self) -> Vec<u8> {
        Sha256::digest(self.sql).to_vec()
    }
}

fn into_store_error(error: MigrateError, sent: Sent) -> StoreError {
    match error {
        MigrateError::Driver(error) => Failure::of_statement(error, sent, DOING).error,
        MigrateError::Mismatch(error) => {
            let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::Schema);
            StoreError::new(kind, class, Outcome::NotApplied, DOING).with_source(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps_and_named_by_their_file() {
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            let number = i64::try_from(index).expect("few") + 1;
            assert_eq!(migration.version, number);
            assert!(migration.name.starts_with(&format!("{number:04}_")));
        }
    }
}
