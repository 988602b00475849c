//! Nodes in SQLite: the servers of one machine that share a file.
//!
//! SQLite has no clock of its own, so heartbeats carry this machine's.

use std::time::Duration;

use nightlatch_core::{
    Cluster, HEARTBEAT_EVERY, NODE_LIFE, NODE_RETENTION, NODE_SWEEP_MAX, NodeId, Timestamp,
};
use rusqlite::{Connection, params};

use super::feed::Change;

/// Says that `node` lives, and carries service time on.
pub(super) fn heartbeat(change: &Change<'_>, node: NodeId) -> rusqlite::Result<Cluster> {
    let (conn, now) = (change.conn, change.now.as_micros());
    let id = node.as_uuid().as_bytes();
    conn.prepare_cached(
        "UPDATE service_clock SET
             service_time = service_time + min(max(?1 - coalesce(beat_at, ?1), 0), ?2),
             beat_at = ?1",
    )?
    .execute(params![now, micros(HEARTBEAT_EVERY)])?;
    conn.prepare_cached(
        "INSERT INTO nodes (id, beat_at) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at",
    )?
    .execute(params![id, now])?;
    // After a clock that went back: none of them lives on for as long as the step was.
    conn.prepare_cached("UPDATE nodes SET beat_at = ?1 WHERE beat_at > ?1")?.execute([now])?;
    conn.prepare_cached(
        "DELETE FROM nodes WHERE id IN (
             SELECT id FROM nodes WHERE beat_at < ?1 ORDER BY beat_at LIMIT ?2)",
    )?
    .execute(params![change.now.before(NODE_RETENTION).as_micros(), NODE_SWEEP_MAX])?;
    find_cluster(conn, node, change.now)
}

/// Who lives, as `node` sees it.
pub(super) fn find_cluster(
    conn: &Connection,
    node: NodeId,
    now: Timestamp,
) -> rusqlite::Result<Cluster> {
    let mut statement = conn.prepare_cached(
        "SELECT service_time,
             (SELECT count(*) FROM nodes WHERE id <> ?1 AND beat_at > ?2),
             (SELECT max(beat_at) FROM nodes WHERE id <> ?1 AND beat_at <= ?2)
         FROM service_clock",
    )?;
    let dead_from = now.before(NODE_LIFE).as_micros();
    statement.query_row(params![node.as_uuid().as_bytes(), dead_from], |row| {
        let (service_time, others): (i64, u32) = (row.get(0)?, row.get(1)?);
        let silent_beat: Option<i64> = row.get(2)?;
        Ok(Cluster {
            live: others.saturating_add(1),
            silent: silent_beat.map(|beat| Timestamp::from_micros(beat).after(NODE_LIFE)),
            service_time: Duration::from_micros(u64::try_from(service_time).unwrap_or(0)),
        })
    })
}

/// Removes `node`.
pub(super) fn leave(conn: &Connection, node: NodeId) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM nodes WHERE id = ?1")?.execute([node.as_uuid().as_bytes()])?;
    Ok(())
}

pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
