//! The schema and how it grows: numbered steps, applied in order, each in a transaction.
//!
//! Steps only expand: an older release goes on working on a newer schema, so that a new release
//! can be rolled back. Each step is kept with its checksum, so that an edited one is noticed.

use std::fmt::Write as _;

use nightlatch_core::{Entropy, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::connection::use_write_ahead_log;
use super::feed;
use super::limit::Limit;

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "0001_record",
        sql: include_str!("../../migrations/sqlite/0001_record.sql"),
    },
    Migration {
        version: 2,
        name: "0002_nodes",
        sql: include_str!("../../migrations/sqlite/0002_nodes.sql"),
    },
    Migration {
        version: 3,
        name: "0003_tokens",
        sql: include_str!("../../migrations/sqlite/0003_tokens.sql"),
    },
    Migration {
        version: 4,
        name: "0004_mirrors",
        sql: include_str!("../../migrations/sqlite/0004_mirrors.sql"),
    },
    Migration {
        version: 5,
        name: "0005_standings",
        sql: include_str!("../../migrations/sqlite/0005_standings.sql"),
    },
    Migration {
        version: 6,
        name: "0006_audit_log",
        sql: include_str!("../../migrations/sqlite/0006_audit_log.sql"),
    },
    Migration {
        version: 7,
        name: "0007_application_sessions",
        sql: include_str!("../../migrations/sqlite/0007_application_sessions.sql"),
    },
];

/// `NLat` in the file's header, written by the first step.
pub(super) const APPLICATION_ID: i64 = 0x4E4C_6174;

/// Why a file is not a record that this release can use.
#[derive(Debug, Error)]
pub(super) enum SchemaFault {
    #[error("the file has not been migrated to this release")]
    NotMigrated,
    #[error("the file belongs to another program")]
    Foreign,
    #[error("migration {name} is not the one that was applied")]
    Changed { name: &'static str },
    #[error("the file takes no write-ahead log, only journal mode {mode}")]
    NoLog { mode: String },
    #[error("SQLite gave an error")]
    Sqlite(#[from] rusqlite::Error),
}

/// Whether the file holds all steps of this release. It may hold later ones.
pub(super) fn check(conn: &Connection) -> Result<(), SchemaFault> {
    if is_empty(conn)? {
        return Err(SchemaFault::NotMigrated);
    }
    check_owner(conn)?;
    for migration in MIGRATIONS {
        if !migration.is_applied(conn)? {
            return Err(SchemaFault::NotMigrated);
        }
    }
    Ok(())
}

/// How a file's steps compare with those of this release.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// The steps that are not applied yet.
    pub(super) missing: Vec<&'static str>,
    /// The latest step that this release does not know.
    pub(super) newer: Option<i64>,
}

/// Compares the steps of a file with those of this release, and changes nothing.
pub(super) fn compare(conn: &Connection) -> Result<Compared, SchemaFault> {
    if is_empty(conn)? {
        let missing = MIGRATIONS.iter().map(|migration| migration.name).collect();
        return Ok(Compared { missing, newer: None });
    }
    check_owner(conn)?;
    let mut missing = Vec::new();
    for migration in MIGRATIONS {
        if !migration.is_applied(conn)? {
            missing.push(migration.name);
        }
    }
    let sql = "SELECT max(version) FROM schema_migrations";
    let latest: Option<i64> = conn.query_row(sql, [], |row| row.get(0))?;
    let ours = MIGRATIONS.last().map_or(0, |last| last.version);
    Ok(Compared { missing, newer: latest.filter(|latest| *latest > ours) })
}

/// Applies the steps that are missing and gives their names.
pub(super) fn run(
    conn: &mut Connection,
    limit: &Limit,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<Vec<String>, SchemaFault> {
    if !is_empty(conn)? {
        check_owner(conn)?;
    }
    use_write_ahead_log(conn, limit)?;
    let mut applied = Vec::new();
    for migration in MIGRATIONS {
        // The lock is taken before looking: another process may be doing the same.
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(LEDGER)?;
        if migration.is_applied(&tx)? {
            continue;
        }
        migration.apply(&tx, now)?;
        feed::found(&tx, entropy, now)?;
        tx.commit()?;
        applied.push(migration.name.to_owned());
    }
    Ok(applied)
}

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version    INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    checksum   TEXT    NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT";

impl Migration {
    fn is_applied(&self, conn: &Connection) -> Result<bool, SchemaFault> {
        let sql = "SELECT checksum FROM schema_migrations WHERE version = ?1";
        let known: Option<String> =
            conn.query_row(sql, [self.version], |row| row.get(0)).optional()?;
        match known {
            None => Ok(false),
            Some(checksum) if checksum == self.checksum() => Ok(true),
            Some(_) => Err(SchemaFault::Changed { name: self.name }),
        }
    }

    fn apply(&self, tx: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<()> {
        tx.execute_batch(self.sql)?;
        tx.execute(
            "INSERT INTO schema_migrations (version, name, checksum, applied_at)
             VALUES (?1, ?2, ?3, ?4)",
            params![self.version, self.name, self.checksum(), now.as_micros()],
        )?;
        Ok(())
    }

    fn checksum(&self) -> String {
        Sha256::digest(self.sql).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a String takes what is written");
            hex
        })
    }
}

fn is_empty(conn: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0)
}

fn check_owner(conn: &Connection) -> Result<(), SchemaFault> {
    let id: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id == APPLICATION_ID { Ok(()) } else { Err(SchemaFault::Foreign) }
}
