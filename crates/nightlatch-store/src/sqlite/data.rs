//! Sessions of other applications in SQLite.
//!
//! What is saved and its row in the feed are one change, under the writer's lock: of two that save at once
//! the second stands above the first, in the table and in the feed alike.

use std::sync::Arc;

use nightlatch_core::{
    ApplicationSession, DataStore, Deadline, FeedKind, FeedRow, NewApplicationSession, SaveData,
    SessionData, SessionId, StoreResult, Timestamp, TokenHash, Written,
};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::feed::{Change, as_of, history};
use super::{SqliteRecord, row};

const FIND: &str = "SELECT s.id, s.data, s.expires_at, h.record_id, h.epoch, h.position, h.row_id
    FROM application_sessions s CROSS JOIN feed_head h
    WHERE s.token_hash = ?1 AND s.ended_at IS NULL AND s.expires_at > ?2";

impl DataStore for SqliteRecord {
    fn create_data(
        &self,
        session: NewApplicationSession,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<ApplicationSession>> {
        let doing = "creating an application's session";
        self.change(doing, deadline, move |change| create(change, &session))
    }

    fn find_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<ApplicationSession>>> {
        self.look("finding an application's session", deadline, move |conn| {
            Ok(find(conn, token, now)?.map(Arc::new))
        })
    }

    fn save_data(
        &self,
        saved: SaveData,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ApplicationSession>>> {
        let doing = "saving an application's session";
        self.change(doing, deadline, move |change| save(change, &saved))
    }

    fn delete_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>> {
        let doing = "deleting an application's session";
        self.change(doing, deadline, move |change| delete(change, token, now))
    }
}

fn create(
    change: &Change<'_>,
    new: &NewApplicationSession,
) -> rusqlite::Result<Option<ApplicationSession>> {
    let sql = "INSERT INTO application_sessions (id, token_hash, data, created_at, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (token_hash) DO NOTHING";
    let created = change.conn.prepare_cached(sql)?.execute(params![
        new.id.as_uuid().as_bytes(),
        new.token.as_bytes(),
        new.data.as_bytes(),
        new.created_at.as_micros(),
        new.expires_at.as_micros(),
    ])?;
    if created == 0 {
        return Ok(None);
    }
    written(change, new.token).map(Some)
}

fn find(
    conn: &Connection,
    token: TokenHash,
    now: Timestamp,
) -> rusqlite::Result<Option<ApplicationSession>> {
    conn.prepare_cached(FIND)?
        .query_row(params![token.as_bytes(), now.as_micros()], session)
        .optional()
}

/// What was written a moment ago, whenever it expires.
fn written(change: &Change<'_>, token: TokenHash) -> rusqlite::Result<ApplicationSession> {
    change.conn.prepare_cached(FIND)?.query_row(params![token.as_bytes(), i64::MIN], session)
}

/// Never an upsert: what has ended or gone must not come back.
fn save(
    change: &Change<'_>,
    save: &SaveData,
) -> rusqlite::Result<Option<Written<ApplicationSession>>> {
    let sql = "UPDATE application_sessions SET data = ?2, expires_at = ?3
               WHERE token_hash = ?1 AND ended_at IS NULL AND expires_at > ?4 RETURNING id";
    let saved = change
        .conn
        .prepare_cached(sql)?
        .query_row(
            params![
                save.token.as_bytes(),
                save.data.as_bytes(),
                save.expires_at.as_micros(),
                save.now.as_micros(),
            ],
            |row| row::uuid(row, 0),
        )
        .optional()?;
    let Some(id) = saved else { return Ok(None) };
    let kind = FeedKind::RefetchSession(SessionId::from_uuid(id));
    let rows = vec![change.append_to_feed(kind, save.now)?];
    Ok(Some(Written { value: written(change, save.token)?, rows }))
}

fn delete(
    change: &Change<'_>,
    token: TokenHash,
    now: Timestamp,
) -> rusqlite::Result<Written<bool>> {
    let rows = end_where(change, "token_hash = ?2", &[token.as_bytes()], now)?;
    Ok(Written { value: !rows.is_empty(), rows })
}

/// Ends those that the condition names, with a feed row for each.
pub(super) fn end_where(
    change: &Change<'_>,
    condition: &'static str,
    ids: &[&dyn ToSql],
    now: Timestamp,
) -> rusqlite::Result<Vec<FeedRow>> {
    let sql = format!(
        "UPDATE application_sessions SET ended_at = ?1, data = x''
         WHERE ended_at IS NULL AND {condition} RETURNING id"
    );
    let at = now.as_micros();
    let mut params: Vec<&dyn ToSql> = vec![&at];
    params.extend_from_slice(ids);
    let ended: Vec<FeedKind> = change
        .conn
        .prepare_cached(&sql)?
        .query_map(params.as_slice(), |row| {
            row::uuid(row, 0).map(SessionId::from_uuid).map(FeedKind::Session)
        })?
        .collect::<Result<_, _>>()?;
    change.append_all_to_feed(&ended, now)
}

/// Ends all of them; how many.
pub(super) fn end_all(conn: &Connection, now: Timestamp) -> rusqlite::Result<usize> {
    let sql = "UPDATE application_sessions SET ended_at = ?1, data = x'' WHERE ended_at IS NULL";
    conn.prepare_cached(sql)?.execute([now.as_micros()])
}

fn session(row: &Row<'_>) -> rusqlite::Result<ApplicationSession> {
    let data = row.get_ref(1)?.as_blob()?;
    Ok(ApplicationSession {
        id: SessionId::from_uuid(row::uuid(row, 0)?),
        data: SessionData::try_new(data).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(1, Type::Blob, Box::new(error))
        })?,
        expires_at: row::time(row, 2)?,
        history: history(row, 3)?,
        as_of: as_of(row, 5)?,
    })
}
