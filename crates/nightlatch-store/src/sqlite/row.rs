//! Rows of the SQLite record as domain types.
//!
//! The schema lets in more than the domain does. A row that makes no sense is an error that names
//! table and column; it is never taken for "not there".

use std::net::IpAddr;

use nightlatch_core::{
    Client, Email, FoundSession, Generation, Groups, Session, SessionId, Timestamp, User, UserId,
    Username,
};
use rusqlite::Row;
use rusqlite::types::Type;
use thiserror::Error;
use uuid::Uuid;

use super::feed::{as_of, history};

/// The columns of a user as [`user`] reads them.
macro_rules! user_columns {
    () => {
        "u.id, u.username, u.email, u.email_verified, u.name, u.groups, u.generation, u.enabled, \
         u.created_at"
    };
}
/// The columns of a session as [`session`] reads them.
macro_rules! session_columns {
    () => {
        "s.id, s.user_id, s.created_at, s.last_seen_at, s.expires_at, s.remember, s.address, \
         s.user_agent"
    };
}
pub(super) use {session_columns, user_columns};

/// How many columns these are.
pub(super) const USER_COLUMNS: usize = 9;
pub(super) const SESSION_COLUMNS: usize = 8;

#[derive(Debug, Error)]
#[error("column {column} of table {table} holds what cannot be there")]
struct RowFault {
    table: &'static str,
    column: &'static str,
}

/// The user in the columns from `first` on.
pub(super) fn user(row: &Row<'_>, first: usize) -> rusqlite::Result<User> {
    let bad = |at, column| nonsense(first + at, "users", column);
    let email: Option<String> = row.get(first + 2)?;
    let groups: String = row.get(first + 5)?;
    Ok(User {
        id: UserId::from_uuid(uuid(row, first)?),
        username: username(row, first + 1)?,
        email: email
            .map(|email| Email::try_new(&email).map_err(|_| bad(2, "email")))
            .transpose()?,
        email_verified: row.get(first + 3)?,
        name: row.get(first + 4)?,
        groups: groups_from_json(&groups).ok_or_else(|| bad(5, "groups"))?,
        generation: Generation(row.get(first + 6)?),
        enabled: row.get(first + 7)?,
        created_at: time(row, first + 8)?,
    })
}

/// The name of a user in a column.
pub(super) fn username(row: &Row<'_>, at: usize) -> rusqlite::Result<Username> {
    let stored: String = row.get(at)?;
    Username::try_existing(&stored).map_err(|_| nonsense(at, "users", "username"))
}

/// The session in the columns from `first` on.
pub(super) fn session(row: &Row<'_>, first: usize) -> rusqlite::Result<Session> {
    let address: String = row.get(first + 6)?;
    let address: IpAddr =
        address.parse().map_err(|_| nonsense(first + 6, "sessions", "address"))?;
    Ok(Session {
        id: SessionId::from_uuid(uuid(row, first)?),
        user_id: UserId::from_uuid(uuid(row, first + 1)?),
        created_at: time(row, first + 2)?,
        last_seen_at: time(row, first + 3)?,
        expires_at: time(row, first + 4)?,
        remember: row.get(first + 5)?,
        client: Client { address, user_agent: row.get(first + 7)? },
    })
}

/// A session, its user, record, epoch, position and row id, in this order.
pub(super) fn found_session(row: &Row<'_>) -> rusqlite::Result<FoundSession> {
    const HEAD: usize = SESSION_COLUMNS + USER_COLUMNS;
    let (session, user) = (session(row, 0)?, user(row, SESSION_COLUMNS)?);
    let (history, as_of) = (history(row, HEAD)?, as_of(row, HEAD + 2)?);
    Ok(FoundSession::new(session, user, as_of, history))
}

pub(super) fn uuid(row: &Row<'_>, at: usize) -> rusqlite::Result<Uuid> {
    Ok(Uuid::from_bytes(row.get(at)?))
}

pub(super) fn uuid_opt(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Uuid>> {
    let stored: Option<[u8; 16]> = row.get(at)?;
    Ok(stored.map(Uuid::from_bytes))
}

pub(super) fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_micros(row.get(at)?))
}

pub(super) fn groups_to_json(groups: &Groups) -> String {
    serde_json::to_string(groups.as_slice()).expect("a list of texts has a JSON form")
}

fn groups_from_json(json: &str) -> Option<Groups> {
    let names: Vec<String> = serde_json::from_str(json).ok()?;
    Groups::try_new(names).ok()
}

fn nonsense(at: usize, table: &'static str, column: &'static str) -> rusqlite::Error {
    let fault = Box::new(RowFault { table, column });
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, fault)
}
