//! Failures of throttles in SQLite, and values that all nodes have in common.

use nightlatch_core::{
    AuditedFailure, Failure, FailureNews, FailurePosition, KeptFailures, NodeId, ThrottleKey,
    ThrottleScope, Timestamp,
};
use rusqlite::{Connection, Row, params};

use super::feed::Change;
use super::row;

pub(super) fn append(
    change: &Change<'_>,
    by: NodeId,
    failures: &[Failure],
    audited: &[AuditedFailure],
) -> rusqlite::Result<()> {
    let conn = change.conn;
    let mut statement = conn.prepare_cached(
        "INSERT INTO throttle_failures (scope, digest, at, node, position)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut head =
        conn.prepare_cached("UPDATE throttle_head SET position = position + 1 RETURNING position")?;
    for Failure { key, at } in failures {
        let position: i64 = head.query_row([], |row| row.get(0))?;
        let (digest, at) = (key.digest, at.as_micros());
        statement.execute(params![
            key.scope as i16,
            digest,
            at,
            by.as_uuid().as_bytes(),
            position
        ])?;
    }
    audited.iter().try_for_each(|failure| change.audit_failure(failure))
}

pub(super) fn list(
    conn: &Connection,
    since: Timestamp,
    limit: u32,
) -> rusqlite::Result<KeptFailures> {
    // One snapshot for both: what is appended in between would be neither listed nor polled.
    let snapshot = conn.unchecked_transaction()?;
    let mut statement = snapshot.prepare_cached(
        "SELECT scope, digest, at FROM throttle_failures WHERE at > ?1
         ORDER BY at DESC, rowid DESC LIMIT ?2",
    )?;
    let newest_first = statement.query_map(params![since.as_micros(), limit], failure)?;
    let mut failures: Vec<Failure> =
        newest_first.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    failures.reverse();
    Ok(KeptFailures { failures, through: head(&snapshot)? })
}

/// What others than `by` appended above `after`.
pub(super) fn poll(
    conn: &Connection,
    by: NodeId,
    after: FailurePosition,
    limit: u32,
    live: u32,
) -> rusqlite::Result<FailureNews> {
    let snapshot = conn.unchecked_transaction()?;
    let end = head(&snapshot)?;
    let mut news = FailureNews { failures: Vec::new(), through: end, is_cut: false, live };
    let mut statement = snapshot.prepare_cached(
        "SELECT scope, digest, at, position, node IS ?2 FROM throttle_failures
         WHERE position > ?1 ORDER BY position LIMIT ?3",
    )?;
    let mut rows = statement.query(params![after.0, by.as_uuid().as_bytes(), limit])?;
    while let Some(row) = rows.next()? {
        news.through = FailurePosition(row.get(3)?);
        let is_own: bool = row.get(4)?;
        if !is_own {
            news.failures.extend(failure(row)?);
        }
    }
    news.is_cut = news.through < end;
    Ok(news)
}

fn head(conn: &Connection) -> rusqlite::Result<FailurePosition> {
    conn.prepare_cached("SELECT position FROM throttle_head")?
        .query_row([], |row| row.get(0).map(FailurePosition))
}

/// From columns scope, digest, time. `None`: a scope of a later release is nothing that this one
/// counts.
fn failure(row: &Row<'_>) -> rusqlite::Result<Option<Failure>> {
    let (code, digest, at) = (row.get(0)?, row.get(1)?, row::time(row, 2)?);
    let scope = ThrottleScope::from_code(code);
    Ok(scope.map(|scope| Failure { key: ThrottleKey::new(scope, digest), at }))
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
