//! Mirrored users in SQLite.
//!
//! What somebody else may have taken meanwhile is asked in the statement that writes, under the
//! writer's lock.

use nightlatch_core::{Email, MirrorFound, MirrorKeys, MirrorUpdate, Subject, User, Written};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::feed::Change;
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
