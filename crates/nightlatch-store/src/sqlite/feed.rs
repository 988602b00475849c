//! The revocation feed in SQLite: one head row, and one row for each revocation.
//!
//! Whoever appends updates the head row inside the writer's transaction, which holds the only
//! write lock there is: positions grow by one in commit order.

use nightlatch_core::{
    AsOf, Entropy, Epoch, FailureClass, FeedKind, FeedNews, FeedRow, Generation, Head, History,
    Position, SessionId, Timestamp, UserId,
};
use rusqlite::{Connection, Row, params};

use super::row;

/// The write lock is held: a change of the record, inside its savepoint.
pub(super) struct Change<'a> {
    pub(super) conn: &'a Connection,
    pub(super) entropy: &'a dyn Entropy,
    /// Record time, for changes whose caller gives none.
    pub(super) now: Timestamp,
}

impl Change<'_> {
    /// Appends a row to the feed.
    pub(super) fn append_to_feed(
        &self,
        kind: FeedKind,
        at: Timestamp,
    ) -> rusqlite::Result<FeedRow> {
        Ok(self.append_all_to_feed(&[kind], at)?[0])
    }

    /// Appends a row for each.
    pub(super) fn append_all_to_feed(
        &self,
        kinds: &[FeedKind],
        at: Timestamp,
    ) -> rusqlite::Result<Vec<FeedRow>> {
        let ids: Vec<i64> = kinds.iter().map(|_| random_63_bits(self.entropy)).collect();
        let Some(last) = ids.last() else { return Ok(Vec::new()) };
        let before: i64 = self
            .conn
            .prepare_cached(
                "UPDATE feed_head SET position = position + ?1, row_id = ?2
                 RETURNING position - ?1",
            )?
            .query_row(params![kinds.len().cast_signed(), last], |row| row.get(0))?;
        let places = (before + 1..).map(Position).zip(ids);
        let rows = kinds.iter().zip(places).map(|(&kind, (position, row_id))| {
            let row = FeedRow { at: AsOf { position, row_id }, kind };
            insert(self.conn, row, at).map(|()| row)
        });
        rows.collect()
    }

    /// Begins an epoch if the record still is in history `from`; where the feed then ends.
    pub(super) fn claim_epoch(&self, from: History, fresh: Epoch) -> rusqlite::Result<Head> {
        self.conn
            .prepare_cached("UPDATE feed_head SET epoch = ?3 WHERE record_id = ?1 AND epoch = ?2")?
            .execute(params![from.record.as_bytes(), from.epoch.0, fresh.0])?;
        self.conn
            .prepare_cached(concat!("SELECT ", head_columns!(), " FROM feed_head h"))?
            .query_row([], |row| head(row, 0))
    }
}

/// The columns of [`head`], of a table named `h`.
macro_rules! head_columns {
    () => {
        "h.record_id, h.epoch, h.position, h.row_id, h.pruned_to"
    };
}
pub(super) use head_columns;

/// How many columns these are.
const HEAD_COLUMNS: usize = 5;

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
        insert(conn, FeedRow { at: first, kind: FeedKind::Start }, now)?;
    }
    Ok(())
}

/// Where the feed ends, the id of the row at `after`, and at most `limit` rows above it.
pub(super) fn poll(
    conn: &Connection,
    after: Option<Position>,
    limit: u32,
    write_failure: Option<FailureClass>,
) -> rusqlite::Result<FeedNews> {
    // One statement, from the head outwards: all of it is of one moment.
    let mut statement = conn.prepare_cached(concat!(
        "SELECT ",
        head_columns!(),
        ", (SELECT id FROM feed WHERE position = ?1),
             f.position, f.id, f.kind, f.session_id, f.user_id, f.generation
         FROM feed_head h LEFT JOIN (
             SELECT * FROM feed WHERE position > ?1 ORDER BY position LIMIT ?2) f ON true
         ORDER BY f.position"
    ))?;
    let mut found = statement.query(params![after.map(|after| after.0), limit])?;
    let mut row = found.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    // SQLite has no clock of its own.
    let mut news = FeedNews {
        head: head(row, 0)?,
        asked: row.get(HEAD_COLUMNS)?,
        rows: Vec::new(),
        now: None,
        write_failure,
    };
    // An outer join without a partner has one row that says nothing of the feed.
    while row.get::<_, Option<i64>>(HEAD_COLUMNS + 1)?.is_some() {
        news.rows.push(feed_row(row, HEAD_COLUMNS + 1)?);
        let Some(next) = found.next()? else { break };
        row = next;
    }
    Ok(news)
}

fn head(row: &Row<'_>, first: usize) -> rusqlite::Result<Head> {
    Ok(Head {
        history: history(row, first)?,
        newest: as_of(row, first + 2)?,
        pruned_to: Position(row.get(first + 4)?),
    })
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

/// Record and epoch from column `first` on.
pub(super) fn history(row: &Row<'_>, first: usize) -> rusqlite::Result<History> {
    Ok(History { record: row::uuid(row, first)?, epoch: Epoch(row.get(first + 1)?) })
}

/// Position, id, kind and what the kind names, from column `first` on.
fn feed_row(row: &Row<'_>, first: usize) -> rusqlite::Result<FeedRow> {
    let session = || row::uuid(row, first + 3).map(SessionId::from_uuid);
    let user = || row::uuid(row, first + 4).map(UserId::from_uuid);
    let generation = || row.get(first + 5).map(Generation);
    let kind = match row.get(first + 2)? {
        0 => FeedKind::Start,
        1 => FeedKind::Session(session()?),
        2 => FeedKind::UserBelow(user()?, generation()?),
        3 => FeedKind::Everything,
        4 => FeedKind::RefetchUser(user()?),
        5 => FeedKind::UserDisabled(user()?, generation()?),
        6 => FeedKind::UserEnabled(user()?),
        7 => FeedKind::RefetchSession(session()?),
        code => FeedKind::Unknown(code),
    };
    Ok(FeedRow { at: as_of(row, first)?, kind })
}

fn insert(conn: &Connection, row: FeedRow, time: Timestamp) -> rusqlite::Result<()> {
    let (session, user, generation) = match row.kind {
        FeedKind::Start | FeedKind::Everything | FeedKind::Unknown(_) => (None, None, None),
        FeedKind::Session(session) | FeedKind::RefetchSession(session) => {
            (Some(session), None, None)
        }
        FeedKind::UserBelow(user, generation) | FeedKind::UserDisabled(user, generation) => {
            (None, Some(user), Some(generation.0))
        }
        FeedKind::RefetchUser(user) | FeedKind::UserEnabled(user) => (None, Some(user), None),
    };
    conn.prepare_cached(
        "INSERT INTO feed (position, id, kind, session_id, user_id, generation, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        row.at.position.0,
        row.at.row_id,
        row.kind.code(),
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
