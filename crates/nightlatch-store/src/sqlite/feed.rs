//! The revocation feed in SQLite: one head row, and one row for each revocation.
//!
//! Whoever appends updates the head row inside the writer's transaction, which holds the only
//! write lock there is: positions grow by one in commit order.

use nightlatch_core::{AsOf, Entropy, Epoch, FeedKind, Head, Position, Timestamp};
use rusqlite::{Connection, Row, params};

/// The write lock is held: a change of the record, inside its savepoint.
pub(super) struct Change<'a> {
    pub(super) conn: &'a Connection,
    pub(super) entropy: &'a dyn Entropy,
    /// Record time, for changes whose caller gives none.
    pub(super) now: Timestamp,
}

impl Change<'_> {
    /// Appends a row to the feed.
    pub(super) fn append_to_feed(&self, kind: FeedKind, at: Timestamp) -> rusqlite::Result<()> {
        let id = random_63_bits(self.entropy);
        let position: i64 = self
            .conn
            .prepare_cached(
                "UPDATE feed_head SET position = position + 1, row_id = ?1 RETURNING position",
            )?
            .query_row([id], |row| row.get(0))?;
        insert(self.conn, AsOf { position: Position(position), row_id: id }, kind, at)
    }
}

/// Begins a history if there is none.
pub(super) fn found(
    conn: &Connection,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut record_id = [0; 16];
    entropy.fill(&mut record_id);
    let first = AsOf { position: Position(1), row_id: random_63_bits(entropy) };
    let founded = conn.execute(
        "INSERT OR IGNORE INTO feed_head (one, epoch, record_id, position, row_id, pruned_to)
         VALUES (1, ?1, ?2, ?3, ?4, 0)",
        params![random_63_bits(entropy), record_id, first.position.0, first.row_id],
    )?;
    if founded == 1 {
        insert(conn, first, FeedKind::Start, now)?;
    }
    Ok(())
}

/// Where the feed ends.
pub(super) fn find_head(conn: &Connection) -> rusqlite::Result<Head> {
    conn.prepare_cached("SELECT epoch, position, row_id, pruned_to FROM feed_head")?.query_row(
        [],
        |row| {
            let (as_of, epoch) = (as_of(row, 1)?, Epoch(row.get(0)?));
            Ok(Head { epoch, newest: as_of, pruned_to: Position(row.get(3)?) })
        },
    )
}

/// Removes at most `limit` of the oldest rows from before `before`, never the newest.
pub(super) fn prune(conn: &Connection, before: Timestamp, limit: u32) -> rusqlite::Result<u64> {
    // Only a beginning of the feed may go: `pruned_to` says that everything above it is there.
    // After a step of the clock times are not in the order of positions, so they are walked.
    let up_to: Option<i64> = conn
        .prepare_cached(
            "SELECT max(position) FROM (
                 SELECT position, max(at) OVER (ORDER BY position) AS latest
                 FROM (SELECT position, at FROM feed ORDER BY position LIMIT ?2))
             WHERE latest < ?1 AND position < (SELECT position FROM feed_head)",
        )?
        .query_row(params![before.as_micros(), limit], |row| row.get(0))?;
    let Some(up_to) = up_to else { return Ok(0) };
    let removed = conn.prepare_cached("DELETE FROM feed WHERE position <= ?1")?.execute([up_to])?;
    conn.prepare_cached("UPDATE feed_head SET pruned_to = max(pruned_to, ?1)")?.execute([up_to])?;
    Ok(removed as u64)
}

/// Position and row id from column `first` on.
pub(super) fn as_of(row: &Row<'_>, first: usize) -> rusqlite::Result<AsOf> {
    Ok(AsOf { position: Position(row.get(first)?), row_id: row.get(first + 1)? })
}

fn insert(conn: &Connection, at: AsOf, kind: FeedKind, time: Timestamp) -> rusqlite::Result<()> {
    let (session, user, generation) = match kind {
        FeedKind::Start | FeedKind::Everything => (None, None, None),
        FeedKind::Session(session) => (Some(session), None, None),
        FeedKind::UserBelow(user, generation) => (None, Some(user), Some(generation.0)),
        FeedKind::RefetchUser(user) => (None, Some(user), None),
    };
    conn.prepare_cached(
        "INSERT INTO feed (position, id, kind, session_id, user_id, generation, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        at.position.0,
        at.row_id,
        kind.code(),
        session.map(|id| *id.as_uuid().as_bytes()),
        user.map(|id| *id.as_uuid().as_bytes()),
        generation,
        time.as_micros(),
    ])?;
    Ok(())
}

fn random_63_bits(entropy: &dyn Entropy) -> i64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    i64::from_be_bytes(bytes) & i64::MAX
}
