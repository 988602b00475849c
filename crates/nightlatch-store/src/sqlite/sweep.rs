//! Removing what counts no longer, in small batches, so that no change waits long behind it.

use nightlatch_core::{KNOWN_PREFIX_RETENTION, Sweep, SweepBefore, Timestamp};
use rusqlite::{Connection, params};

use super::{audit, feed};

/// Removes at most `limit` rows of each kind.
pub(super) fn sweep(
    conn: &Connection,
    SweepBefore { ended: before, audited }: SweepBefore,
    limit: u32,
) -> rusqlite::Result<Sweep> {
    let run = |sql: &str, before: Timestamp, limit: u64| -> rusqlite::Result<u64> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let removed = conn.prepare_cached(sql)?.execute(params![before.as_micros(), limit])?;
        Ok(removed as u64)
    };
    let limit_rows = u64::from(limit);
    let ended = run(ENDED, before, limit_rows)?;
    let expired = run(EXPIRED, before, limit_rows - ended)?;
    let there = run(ENDED_THERE, before, limit_rows)?;
    let expired_there = run(EXPIRED_THERE, before, limit_rows - there)?;
    let failures = run(FAILURES, before, limit_rows)?;
    // `before` is in the past, so this keeps prefixes a little longer than they count.
    let prefixes_before = before.before(KNOWN_PREFIX_RETENTION);
    let prefixes = run(PREFIXES, prefixes_before, limit_rows - failures)?;
    Ok(Sweep {
        sessions: ended + expired,
        application_sessions: there + expired_there,
        feed_rows: feed::prune(conn, before, limit)?,
        throttle_rows: failures + prefixes,
        audit_rows: audit::sweep(conn, audited, limit)?,
    })
}

const ENDED: &str = "DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)";
const EXPIRED: &str = "DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)";
const ENDED_THERE: &str = "DELETE FROM application_sessions WHERE id IN (
    SELECT id FROM application_sessions WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)";
const EXPIRED_THERE: &str = "DELETE FROM application_sessions WHERE id IN (
    SELECT id FROM application_sessions WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)";
const FAILURES: &str = "DELETE FROM throttle_failures WHERE rowid IN (
    SELECT rowid FROM throttle_failures WHERE at < ?1 ORDER BY at LIMIT ?2)";
const PREFIXES: &str = "DELETE FROM known_prefixes WHERE (user_id, prefix) IN (
    SELECT user_id, prefix FROM known_prefixes WHERE last_login_at < ?1
    ORDER BY last_login_at LIMIT ?2)";
