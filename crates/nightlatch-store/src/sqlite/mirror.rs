//! Mirrored users in SQLite.
//!
//! What somebody else may have taken meanwhile is asked in the statement that writes, under the
//! writer's lock.

use nightlatch_core::{
    Email, MirrorFound, MirrorKeys, MirrorUpdate, Mirrored, StandingNote, StandingPage,
    StandingQuery, Subject, Timestamp, User, UserId, Written,
};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::feed::Change;
use super::node::micros;
use super::row::{self, USER_COLUMNS, user_columns};
use super::user;

pub(super) fn find(conn: &Connection, keys: &MirrorKeys) -> rusqlite::Result<Vec<MirrorFound>> {
    conn.prepare_cached(concat!(
        "SELECT ",
        user_columns!(),
        ", u.subject, u.password_hash IS NOT NULL FROM users u
         WHERE u.subject = ?1 OR u.username_folded = ?2 OR u.email_folded = ?3"
    ))?
    .query_map(
        params![
            keys.subject.as_str(),
            keys.username.folded(),
            keys.email.as_ref().map(Email::folded)
        ],
        |row| {
            Ok(MirrorFound {
                user: row::user(row, 0)?,
                subject: subject(row, USER_COLUMNS)?,
                has_password: row.get(USER_COLUMNS + 1)?,
            })
        },
    )?
    .collect()
}

/// Down the index of subjects, so that a page costs the same wherever it is.
pub(super) fn list_standings(
    conn: &Connection,
    query: &StandingQuery,
) -> rusqlite::Result<StandingPage> {
    let sql = "SELECT u.subject, u.id, u.username,
                   u.asked_at <= ?2 AND EXISTS (
                       SELECT 1 FROM sessions s
                       WHERE s.user_id = u.id AND s.generation = u.generation
                           AND s.ended_at IS NULL AND s.expires_at > ?3
                           AND s.last_seen_at + ?5 >= u.asked_at)
                   AND NOT EXISTS (
                       SELECT 1 FROM sessions s
                       WHERE s.user_id = u.id AND s.generation = u.generation
                           AND s.ended_at IS NULL AND s.created_at > ?2)
               FROM (SELECT id, subject, username, generation,
                         iif(standing_asked_at <= ?3, standing_asked_at, 0) AS asked_at
                     FROM users
                     WHERE subject IS NOT NULL AND subject > ?1
                         AND password_hash IS NULL AND enabled
                     ORDER BY subject LIMIT ?4) u
               ORDER BY u.subject";
    // No subject is empty.
    let after = query.after.as_ref().map_or("", Subject::as_str);
    let (asked_before, now) = (query.asked_before.as_micros(), query.now.as_micros());
    let noted_within = micros(query.noted_within);
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![after, asked_before, now, query.limit, noted_within])?;
    let (mut due, mut last, mut seen) = (Vec::new(), None, 0);
    while let Some(row) = rows.next()? {
        seen += 1;
        last = subject(row, 0)?;
        if let (Some(subject), true) = (&last, row.get(3)?) {
            let (id, username) = (UserId::from_uuid(row::uuid(row, 1)?), row::username(row, 2)?);
            due.push(Mirrored { id, subject: subject.clone(), username });
        }
    }
    Ok(StandingPage { due, next: last.filter(|_| seen == query.limit) })
}

pub(super) fn note_standings(
    change: &Change<'_>,
    note: &StandingNote,
) -> rusqlite::Result<Vec<UserId>> {
    let sql = "UPDATE users SET standing_asked_at = ?3
               WHERE id = ?1 AND coalesce(standing_asked_at, 0) NOT BETWEEN ?2 + 1 AND ?4";
    let [asked_before, asked_at, now] =
        [note.asked_before, note.asked_at, note.now].map(Timestamp::as_micros);
    let mut statement = change.conn.prepare_cached(sql)?;
    let mut noted = Vec::new();
    for id in &note.ids {
        if statement.execute(params![id.as_uuid().as_bytes(), asked_before, asked_at, now])? > 0 {
            noted.push(*id);
        }
    }
    Ok(noted)
}

/// Whose mirror a user is, in a column.
pub(super) fn subject(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Subject>> {
    let stored: Option<String> = row.get(at)?;
    stored
        .as_deref()
        .map(Subject::try_new)
        .transpose()
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error)))
}

pub(super) fn update(
    change: &Change<'_>,
    wanted: &MirrorUpdate,
) -> rusqlite::Result<Option<Written<User>>> {
    let sql = "UPDATE users SET subject = ?2, username = ?3, username_folded = ?4, email = ?5,
                   email_folded = ?6, email_verified = ?7, name = ?8, groups = ?9, updated_at = ?10
               WHERE id = ?1 AND password_hash IS NULL AND (subject IS NULL OR subject = ?2)
                   AND NOT EXISTS (SELECT 1 FROM users o WHERE o.id <> ?1
                       AND (o.subject = ?2 OR o.username_folded = ?4 OR o.email_folded = ?6))";
    let changed = change.conn.prepare_cached(sql)?.execute(params![
        wanted.id.as_uuid().as_bytes(),
        wanted.subject.as_str(),
        wanted.username.as_str(),
        wanted.username.folded(),
        wanted.email.as_ref().map(Email::as_str),
        wanted.email.as_ref().map(Email::folded),
        wanted.email_verified,
        wanted.name,
        row::groups_to_json(&wanted.groups),
        change.now.as_micros(),
    ])?;
    user::refetched(change, wanted.id, changed)
}
