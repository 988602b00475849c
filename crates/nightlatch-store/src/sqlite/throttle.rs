//! Failures of throttles in SQLite, and values that all nodes have in common.

use nightlatch_core::{Failure, ThrottleKey, ThrottleScope, Timestamp};
use rusqlite::{Connection, params};

use super::row;

pub(super) fn append(conn: &Connection, failures: &[Failure]) -> rusqlite::Result<()> {
    let mut statement = conn
        .prepare_cached("INSERT INTO throttle_failures (scope, digest, at) VALUES (?1, ?2, ?3)")?;
    for Failure { key, at } in failures {
        statement.execute(params![key.scope as i16, key.digest, at.as_micros()])?;
    }
    Ok(())
}

pub(super) fn list(
    conn: &Connection,
    since: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<Failure>> {
    let mut statement = conn.prepare_cached(
        "SELECT scope, digest, at FROM throttle_failures WHERE at > ?1
         ORDER BY at DESC, rowid DESC LIMIT ?2",
    )?;
    let newest_first = statement.query_map(params![since.as_micros(), limit], |row| {
        let (code, digest, at) = (row.get(0)?, row.get(1)?, row::time(row, 2)?);
        // A scope of a later release is nothing that this one counts.
        let scope = ThrottleScope::from_code(code);
        Ok(scope.map(|scope| Failure { key: ThrottleKey::new(scope, digest), at }))
    })?;
    let mut failures: Vec<Failure> =
        newest_first.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    failures.reverse();
    Ok(failures)
}

pub(super) fn shared_secret(
    conn: &Connection,
    name: &str,
    fresh: &[u8],
) -> rusqlite::Result<Vec<u8>> {
    conn.prepare_cached("INSERT OR IGNORE INTO shared_secrets (name, value) VALUES (?1, ?2)")?
        .execute(params![name, fresh])?;
    conn.prepare_cached("SELECT value FROM shared_secrets WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
}
