//! Rows into domain values. A row that makes no sense is an error that names its column, never a
//! missing user or session.

use std::fmt;
use std::net::IpAddr;

use nightlatch_core::{
    AsOf, Client, Email, Epoch, FeedKind, FeedRow, Generation, Groups, Head, History, PasswordHash,
    Position, Session, SessionId, StoreError, Timestamp, User, UserId, Username,
};
use thiserror::Error;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::failure::corrupt;

/// The columns of [`user`], of a table or CTE named `u`.
macro_rules! user_columns {
    () => {
        "u.id AS user_id, u.username, u.email, u.email_verified, u.name, u.groups, \
         u.generation, u.enabled, u.created_at AS user_created_at"
    };
}

/// The columns of [`session`], of a table named `s`.
macro_rules! session_columns {
    () => {
        "s.id AS session_id, s.user_id AS session_user_id, s.created_at, s.last_seen_at, \
         s.expires_at, s.remember, s.address, s.user_agent"
    };
}

/// The columns of [`head`], of a table or CTE named `head`.
macro_rules! head_columns {
    () => {
        "head.record_id, head.epoch, head.position, head.row_id, head.pruned_to"
    };
}

/// The columns of [`fed`], of a table or CTE named `f`.
macro_rules! fed_columns {
    () => {
        "f.position AS fed_position, f.id AS fed_id, f.kind AS fed_kind, \
         f.session_id AS fed_session_id, f.user_id AS fed_user_id, f.generation AS fed_generation"
    };
}

pub(super) use {fed_columns, head_columns, session_columns, user_columns};

/// A column that cannot be read, or holds what it must not.
#[derive(Debug, Error)]
#[error("column {column}: {problem}")]
struct Malformed {
    column: &'static str,
    problem: String,
}

/// A row with what it was read for, for errors.
pub(super) struct Reader<'a> {
    pub(super) row: &'a Row,
    pub(super) doing: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn get<T: FromSql<'a>>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.try_get(column).map_err(|error| self.malformed(column, error))
    }

    pub(super) fn malformed(&self, column: &'static str, problem: impl fmt::Display) -> StoreError {
        corrupt(self.doing, Malformed { column, problem: problem.to_string() })
    }

    /// A number that counts something.
    pub(super) fn count(&self, column: &'static str) -> Result<u64, StoreError> {
        let count: i64 = self.get(column)?;
        u64::try_from(count).map_err(|error| self.malformed(column, error))
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.get(column).map(Timestamp::from_micros)
    }

    pub(super) fn user(&self) -> Result<User, StoreError> {
        let email: Option<&str> = self.get("email")?;
        let groups: Vec<&str> = self.get("groups")?;
        Ok(User {
            id: UserId::from_uuid(self.get("user_id")?),
            username: self.username()?,
            email: email
                .map(Email::try_new)
                .transpose()
                .map_err(|error| self.malformed("email", error))?,
            email_verified: self.get("email_verified")?,
            name: self.get("name")?,
            groups: Groups::try_new(groups).map_err(|error| self.malformed("groups", error))?,
            generation: Generation(self.get("generation")?),
            enabled: self.get("enabled")?,
            created_at: self.time("user_created_at")?,
        })
    }

    pub(super) fn username(&self) -> Result<Username, StoreError> {
        let stored: &str = self.get("username")?;
        Username::try_existing(stored).map_err(|error| self.malformed("username", error))
    }

    /// The user, if the outer join found one.
    pub(super) fn user_opt(&self) -> Result<Option<User>, StoreError> {
        match self.get::<Option<Uuid>>("user_id")? {
            Some(_) => self.user().map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn hash(&self) -> Result<Option<PasswordHash>, StoreError> {
        Ok(self.get::<Option<String>>("password_hash")?.map(PasswordHash::from_stored))
    }

    pub(super) fn session(&self) -> Result<Session, StoreError> {
        Ok(Session {
            id: SessionId::from_uuid(self.get("session_id")?),
            user_id: UserId::from_uuid(self.get("session_user_id")?),
            created_at: self.time("created_at")?,
            last_seen_at: self.time("last_seen_at")?,
            expires_at: self.time("expires_at")?,
            remember: self.get("remember")?,
            client: Client {
                address: self.get::<IpAddr>("address")?,
                user_agent: self.get("user_agent")?,
            },
        })
    }

    pub(super) fn as_of(&self) -> Result<AsOf, StoreError> {
        Ok(AsOf { position: Position(self.get("position")?), row_id: self.get("row_id")? })
    }

    pub(super) fn history(&self) -> Result<History, StoreError> {
        Ok(History { record: self.get("record_id")?, epoch: Epoch(self.get("epoch")?) })
    }

    pub(super) fn head(&self) -> Result<Head, StoreError> {
        let pruned_to = Position(self.get("pruned_to")?);
        Ok(Head { history: self.history()?, newest: self.as_of()?, pruned_to })
    }

    pub(super) fn fed(&self) -> Result<FeedRow, StoreError> {
        let session = || self.get("fed_session_id").map(SessionId::from_uuid);
        let user = || self.get("fed_user_id").map(UserId::from_uuid);
        let generation = || self.get("fed_generation").map(Generation);
        let at =
            AsOf { position: Position(self.get("fed_position")?), row_id: self.get("fed_id")? };
        let kind = match self.get("fed_kind")? {
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
        Ok(FeedRow { at, kind })
    }
}

/// The feed rows beside which an outer join found one.
pub(super) fn fed_rows(rows: &[Row], doing: &'static str) -> Result<Vec<FeedRow>, StoreError> {
    let mut fed = Vec::new();
    for row in rows {
        let reader = Reader { row, doing };
        if reader.get::<Option<i64>>("fed_position")?.is_some() {
            fed.push(reader.fed()?);
        }
    }
    Ok(fed)
}
