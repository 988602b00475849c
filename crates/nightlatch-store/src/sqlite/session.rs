//! Sessions in SQLite: the statements behind the port of sessions.
//!
//! Whatever is read carries the end of the feed, read in the same statement: a copy is judged by
//! what happened after it, and a position read later would hide what happened in between.

use nightlatch_core::{
    Actor, AddressPrefix, AuditAction, FeedKind, FeedRow, FoundSession, NewSession, Session,
    SessionEnd, SessionId, Timestamp, TokenHash, UserId, Username, Written,
};
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use uuid::Uuid;

use super::audit::About;
use super::data;
use super::feed::Change;
use super::row::{self, session_columns, user_columns};
use super::user;

pub(super) fn create(
    change: &Change<'_>,
    new: &NewSession,
    prefix: AddressPrefix,
    by: &Actor,
) -> rusqlite::Result<Option<Written<FoundSession>>> {
    let Some(rows) = insert(change, new, by)? else { return Ok(None) };
    let (user, id, at) = (new.session.user_id, new.session.id, new.session.created_at);
    change.audit(AuditAction::Login, About::session(user, id), by, at)?;
    let sql = "INSERT INTO known_prefixes (user_id, prefix, last_login_at) VALUES (?1, ?2, ?3)
               ON CONFLICT DO UPDATE SET last_login_at = max(last_login_at, excluded.last_login_at)";
    change.conn.prepare_cached(sql)?.execute(params![
        new.session.user_id.as_uuid().as_bytes(),
        prefix.as_bytes(),
        new.session.created_at.as_micros(),
    ])?;
    let found = find_by_id(change.conn, new.session.id)?;
    Ok(found.map(|value| Written { value, rows }))
}

/// Inserts a session if its user is enabled and still of its generation, and ends the one that it
/// replaces; the feed rows of that one. `None`: it was not inserted.
pub(super) fn insert(
    change: &Change<'_>,
    new: &NewSession,
    by: &Actor,
) -> rusqlite::Result<Option<Vec<FeedRow>>> {
    let session = &new.session;
    let sql = "INSERT INTO sessions (id, token_hash, user_id, generation, created_at,
                   last_seen_at, expires_at, remember, address, user_agent,
                   refresh_hash, refresh_step, refresh_exchanged_at, refresh_expires_at)
               SELECT ?1, ?2, u.id, u.generation, ?5, ?6, ?7, ?8, ?9, ?10,
                   ?11, iif(?11 IS NULL, NULL, 0), iif(?11 IS NULL, NULL, 0), ?12
               FROM users u WHERE u.id = ?3 AND u.generation = ?4 AND u.enabled";
    let inserted = change.conn.prepare_cached(sql)?.execute(params![
        session.id.as_uuid().as_bytes(),
        new.token.as_bytes(),
        session.user_id.as_uuid().as_bytes(),
        new.generation.0,
        session.created_at.as_micros(),
        session.last_seen_at.as_micros(),
        session.expires_at.as_micros(),
        session.remember,
        session.client.address.to_string(),
        session.client.user_agent,
        new.refresh.as_ref().map(|refresh| refresh.token.as_bytes()),
        new.refresh.map(|refresh| refresh.expires_at.as_micros()),
    ])?;
    if inserted == 0 {
        return Ok(None);
    }
    let rows = match &new.replaces {
        Some(token) => {
            let of = Ending { by, action: AuditAction::SessionReplaced, at: session.created_at };
            of.each(change, "token_hash = ?2", &[token.as_bytes()])?
        }
        None => Vec::new(),
    };
    Ok(Some(rows))
}

pub(super) fn find_by_id(
    conn: &Connection,
    id: SessionId,
) -> rusqlite::Result<Option<FoundSession>> {
    conn.prepare_cached(found_by!("id"))?
        .query_row([id.as_uuid().as_bytes()], row::found_session)
        .optional()
}

pub(super) fn find(conn: &Connection, token: TokenHash) -> rusqlite::Result<Option<FoundSession>> {
    conn.prepare_cached(found_by!("token_hash"))?
        .query_row([token.as_bytes()], row::found_session)
        .optional()
}

macro_rules! found_by {
    ($column:literal) => {
        concat!(
            "SELECT ",
            session_columns!(),
            ", ",
            user_columns!(),
            ", h.record_id, h.epoch, h.position, h.row_id
             FROM sessions s
             JOIN users u ON u.id = s.user_id AND u.generation = s.generation AND u.enabled
             CROSS JOIN feed_head h
             WHERE s.ended_at IS NULL AND s.",
            $column,
            " = ?1"
        )
    };
}
use found_by;

pub(super) fn list(
    conn: &Connection,
    of: UserId,
    now: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<Session>> {
    conn.prepare_cached(concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions s
          JOIN users u ON u.id = s.user_id AND u.generation = s.generation AND u.enabled
          WHERE s.user_id = ?1 AND s.ended_at IS NULL AND s.expires_at > ?2
          ORDER BY s.created_at DESC, s.id DESC LIMIT ?3"
    ))?
    .query_map(params![of.as_uuid().as_bytes(), now.as_micros(), limit], |row| {
        row::session(row, 0)
    })?
    .collect()
}

pub(super) fn list_all(
    conn: &Connection,
    below: Option<SessionId>,
    now: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<(Session, Username)>> {
    // Down the primary key from where the last page ended, and nowhere else: `CROSS JOIN` keeps
    // the order of the tables, `+` the index of expiry out of it.
    conn.prepare_cached(concat!(
        "SELECT ",
        session_columns!(),
        ", u.username
          FROM sessions s CROSS JOIN users u
          WHERE s.id < ?1 AND s.ended_at IS NULL AND +s.expires_at > ?2
              AND u.id = s.user_id AND u.generation = s.generation AND u.enabled
          ORDER BY s.id DESC LIMIT ?3"
    ))?
    .query_map(params![below_or_all(below).as_bytes(), now.as_micros(), limit], |row| {
        Ok((row::session(row, 0)?, row::username(row, row::SESSION_COLUMNS)?))
    })?
    .collect()
}

/// No id is the greatest of all UUIDs: theirs have a version.
fn below_or_all(below: Option<SessionId>) -> Uuid {
    below.map_or(Uuid::max(), |id| *id.as_uuid())
}

pub(super) fn end(
    change: &Change<'_>,
    which: SessionEnd,
    now: Timestamp,
    by: &Actor,
) -> rusqlite::Result<Written<u64>> {
    let of = Ending { by, action: which.action(), at: now };
    let rows = match which {
        SessionEnd::One(id) => {
            let mut rows = of.each(change, "id = ?2", &[id.as_uuid().as_bytes()])?;
            if rows.is_empty() {
                // The row may be gone, a copy of it may not.
                rows.push(change.append_to_feed(FeedKind::Session(id), now)?);
                return Ok(Written { value: 0, rows });
            }
            rows
        }
        SessionEnd::Token(token) => of.each(change, "token_hash = ?2", &[token.as_bytes()])?,
        SessionEnd::OneOf(user, id) => {
            let ids: [&dyn ToSql; 2] = [id.as_uuid().as_bytes(), user.as_uuid().as_bytes()];
            of.each(change, "id = ?2 AND user_id = ?3", &ids)?
        }
        SessionEnd::OthersOf(user, kept) => {
            let ids: [&dyn ToSql; 2] = [user.as_uuid().as_bytes(), kept.as_uuid().as_bytes()];
            let ended = end_where(change, "user_id = ?2 AND id <> ?3", &ids, now)?;
            if !ended.rows.is_empty() {
                let about = About::user(user).count(ended.rows.len() as u64);
                change.audit(of.action, about, by, now)?;
            }
            ended.rows
        }
        SessionEnd::AllOf(user) => {
            let Some(ended) = user::end_all(change, user, FeedKind::UserBelow, now)? else {
                return Ok(Written { value: 0, rows: Vec::new() });
            };
            change.audit(of.action, About::user(user).count(ended.value), by, now)?;
            return Ok(ended);
        }
        SessionEnd::Everything => {
            user::raise_everybody(change.conn)?;
            let rows = vec![change.append_to_feed(FeedKind::Everything, now)?];
            let sql = "UPDATE sessions SET ended_at = ?1 WHERE ended_at IS NULL";
            let ended = change.conn.prepare_cached(sql)?.execute([now.as_micros()])?
                + data::end_all(change.conn, now)?;
            change.audit(of.action, About::default().count(ended as u64), by, now)?;
            return Ok(Written { value: ended as u64, rows });
        }
    };
    Ok(Written { value: rows.len() as u64, rows })
}

/// Sessions that end one by one: whose doing it is, what the audit log calls it, and when.
pub(super) struct Ending<'a> {
    pub(super) by: &'a Actor,
    pub(super) action: AuditAction,
    pub(super) at: Timestamp,
}

impl Ending<'_> {
    /// Ends the sessions that the condition names, with a feed row and an entry for each.
    pub(super) fn each(
        &self,
        change: &Change<'_>,
        condition: &'static str,
        ids: &[&dyn ToSql],
    ) -> rusqlite::Result<Vec<FeedRow>> {
        let Ended { sessions, rows } = end_where(change, condition, ids, self.at)?;
        for (session, user) in sessions {
            change.audit(self.action, About::session(user, session), self.by, self.at)?;
        }
        Ok(rows)
    }
}

/// Sessions that have ended, and their rows in the feed.
pub(super) struct Ended {
    sessions: Vec<(SessionId, UserId)>,
    pub(super) rows: Vec<FeedRow>,
}

/// Ends the sessions that the condition names, with a feed row for each.
pub(super) fn end_where(
    change: &Change<'_>,
    condition: &'static str,
    ids: &[&dyn ToSql],
    now: Timestamp,
) -> rusqlite::Result<Ended> {
    let sql = format!(
        "UPDATE sessions SET ended_at = ?1 WHERE ended_at IS NULL AND {condition} RETURNING id, user_id"
    );
    let at = now.as_micros();
    let mut params: Vec<&dyn ToSql> = vec![&at];
    params.extend_from_slice(ids);
    let sessions: Vec<(SessionId, UserId)> = change
        .conn
        .prepare_cached(&sql)?
        .query_map(params.as_slice(), |row| {
            Ok((SessionId::from_uuid(row::uuid(row, 0)?), UserId::from_uuid(row::uuid(row, 1)?)))
        })?
        .collect::<Result<_, _>>()?;
    let kinds: Vec<FeedKind> = sessions.iter().map(|(id, _)| FeedKind::Session(*id)).collect();
    let rows = change.append_all_to_feed(&kinds, now)?;
    Ok(Ended { sessions, rows })
}

pub(super) fn touch(conn: &Connection, seen: &[(SessionId, Timestamp)]) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "UPDATE sessions SET last_seen_at = ?2
         WHERE id = ?1 AND ended_at IS NULL AND expires_at > ?2 AND last_seen_at < ?2",
    )?;
    for (id, at) in seen {
        statement.execute(params![id.as_uuid().as_bytes(), at.as_micros()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nightlatch_core::SystemClock;
    use rusqlite::StatementStatus;

    use super::super::connection::{Role, configure};
    use super::super::limit::Limit;
    use super::*;

    #[test]
    fn the_look_up_of_a_session_is_compiled_once_however_often_it_runs() {
        let mut conn = Connection::open_in_memory().unwrap();
        configure(&mut conn, Role::Writer, &Limit::new(Arc::new(SystemClock))).unwrap();
        for sql in [
            include_str!("../../migrations/sqlite/0001_record.sql"),
            include_str!("../../migrations/sqlite/0003_tokens.sql"),
        ] {
            conn.execute_batch(sql).unwrap();
        }
        for round in 0..3_u8 {
            let mut statement = conn.prepare_cached(found_by!("token_hash")).unwrap();
            assert!(!statement.exists([[round; 32]]).unwrap());
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "round {round}");
        }
    }
}
