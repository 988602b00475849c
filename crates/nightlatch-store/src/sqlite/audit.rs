//! The audit log in SQLite: entries are written in the savepoint of the change that they tell of.

use std::net::IpAddr;

use nightlatch_core::{
    Actor, AuditAction, AuditEntry, AuditId, AuditPage, AuditQuery, AuditedFailure, AuditedUser,
    SessionId, Timestamp, UserId, Who,
};
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Row, ToSql, params};

use super::feed::Change;
use super::row;

/// What an entry is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About<'a> {
    pub(super) user: Option<UserId>,
    pub(super) session: Option<SessionId>,
    pub(super) count: Option<u64>,
    pub(super) detail: Option<&'a str>,
    /// Of a user who is gone already.
    pub(super) username: Option<&'a str>,
}

impl About<'_> {
    pub(super) fn user(id: UserId) -> Self {
        Self { user: Some(id), ..Self::default() }
    }

    pub(super) fn session(user: UserId, session: SessionId) -> Self {
        Self { session: Some(session), ..Self::user(user) }
    }

    pub(super) fn count(self, count: u64) -> Self {
        Self { count: Some(count), ..self }
    }
}

impl Change<'_> {
    /// Writes an entry about this change.
    pub(super) fn audit(
        &self,
        action: AuditAction,
        about: About<'_>,
        by: &Actor,
        at: Timestamp,
    ) -> rusqlite::Result<()> {
        let (actor, actor_name) = by.who.as_stored();
        self.conn
            .prepare_cached(
                "INSERT INTO audit_log (at, action, user_id, username, session_id, count, detail,
                     actor, actor_name, address, request_id)
                 VALUES (?1, ?2, ?3, coalesce(?4, (SELECT username FROM users WHERE id = ?3)),
                     ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                at.as_micros(),
                action.as_str(),
                about.user.as_ref().map(|id| id.as_uuid().as_bytes()),
                about.username,
                about.session.as_ref().map(|id| id.as_uuid().as_bytes()),
                about.count.map(u64::cast_signed),
                about.detail,
                actor,
                actor_name,
                by.address.map(|address| address.to_string()),
                by.request_id.as_deref(),
            ])
            .map(drop)
    }

    pub(super) fn audit_failure(&self, failure: &AuditedFailure) -> rusqlite::Result<()> {
        let AuditedFailure { at, tried, count } = failure;
        let about = About {
            user: tried.user.as_ref().map(|(id, _)| *id),
            username: tried.user.as_ref().map(|(_, name)| name.as_str()),
            count: Some(*count).filter(|count| *count != 1),
            ..About::default()
        };
        self.audit(AuditAction::LoginFailed, about, &tried.by, *at)
    }
}

pub(super) fn list(conn: &Connection, query: &AuditQuery) -> rusqlite::Result<Vec<AuditEntry>> {
    let mut wanted = Wanted::default();
    match &query.user {
        Some(AuditedUser::Id(id)) => wanted.only("user_id = ", id.as_uuid().as_bytes().to_vec()),
        Some(AuditedUser::Name(name)) => wanted.only("username = ", name.clone()),
        None => {}
    }
    if !query.actions.is_empty() {
        let names: Vec<&str> = query.actions.iter().map(|action| action.as_str()).collect();
        let names = serde_json::to_string(&names).expect("a list of texts has a JSON form");
        wanted.only("action IN (SELECT value FROM json_each(", names);
        wanted.conditions.push_str("))");
    }
    if let Some(since) = query.since {
        wanted.only("at >= ", since.as_micros());
    }
    if let Some(until) = query.until {
        wanted.only("at < ", until.as_micros());
    }
    let order = match query.page {
        AuditPage::Newest => "DESC",
        AuditPage::Below(id) => {
            wanted.only("id < ", id.0);
            "DESC"
        }
        AuditPage::Above(id) => {
            wanted.only("id > ", id.0);
            "ASC"
        }
    };
    let Wanted { conditions, params } = wanted;
    let sql = format!(
        "SELECT id, at, action, user_id, username, session_id, count, detail, actor, actor_name,
             address, request_id
         FROM audit_log WHERE true{conditions} ORDER BY id {order} LIMIT {}",
        query.limit
    );
    let params = params.iter().map(|value| value as &dyn ToSql);
    conn.prepare(&sql)?.query_map(rusqlite::params_from_iter(params), entry)?.collect()
}

/// Conditions of a query, and the values that they compare with.
#[derive(Default)]
struct Wanted {
    conditions: String,
    params: Vec<Value>,
}

impl Wanted {
    fn only(&mut self, condition: &'static str, value: impl Into<Value>) {
        self.params.push(value.into());
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
        self.conditions.push('?');
        self.conditions.push_str(&self.params.len().to_string());
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let (actor, actor_name): (String, Option<String>) = (row.get(8)?, row.get(9)?);
    let address: Option<String> = row.get(10)?;
    let address: Option<IpAddr> =
        address.map(|address| address.parse()).transpose().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(10, Type::Text, Box::new(error))
        })?;
    let request_id: Option<String> = row.get(11)?;
    Ok(AuditEntry {
        id: AuditId(row.get(0)?),
        at: row::time(row, 1)?,
        action: row.get(2)?,
        user: row::uuid_opt(row, 3)?.map(UserId::from_uuid),
        username: row.get(4)?,
        session: row::uuid_opt(row, 5)?.map(SessionId::from_uuid),
        count: row.get::<_, Option<i64>>(6)?.map(i64::cast_unsigned),
        detail: row.get(7)?,
        by: Actor {
            who: Who::from_stored(&actor, actor_name.as_deref()),
            address,
            request_id: request_id.map(Into::into),
        },
    })
}

/// Looks at the oldest `limit` entries. Never removes the newest: what comes after it must get a higher id.
pub(super) fn sweep(conn: &Connection, before: Timestamp, limit: u32) -> rusqlite::Result<u64> {
    let removed = conn
        .prepare_cached(
            "DELETE FROM audit_log WHERE at < ?1 AND id < (SELECT max(id) FROM audit_log)
                 AND id IN (SELECT id FROM audit_log ORDER BY id LIMIT ?2)",
        )?
        .execute(params![before.as_micros(), limit])?;
    Ok(removed as u64)
}
