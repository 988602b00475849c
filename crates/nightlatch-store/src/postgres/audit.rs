//! The audit log in PostgreSQL: entries are written by the statements whose changes they tell of.
//!
//! Each of those has a part `audited` that nothing else reads. It runs all the same (a data-modifying
//! `WITH` always does), in the same transaction.

use std::net::IpAddr;

use nightlatch_core::{
    Actor, AuditEntry, AuditId, AuditPage, AuditQuery, AuditStore, AuditedUser, Deadline,
    SessionId, StoreError, StoreResult, Timestamp, UserId, Who,
};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresRecord;
use super::call::{Call, Effect, Param};
use super::row::Reader;

/// The beginning of each part that writes entries.
macro_rules! audited {
    () => {
        ", audited AS (
             INSERT INTO nightlatch.audit_log (at, action, user_id, username, session_id, count,
                 detail, actor, actor_name, address, request_id) "
    };
}

/// The last columns of an entry, out of the parameter that [`actor`] makes.
macro_rules! by {
    ($param:literal) => {
        concat!(
            "(",
            $param,
            "::text[])[1], (",
            $param,
            "::text[])[2], (",
            $param,
            "::text[])[3]::inet, (",
            $param,
            "::text[])[4]"
        )
    };
}

/// The name of a user.
macro_rules! name_of {
    ($id:literal) => {
        concat!("(SELECT u.username FROM nightlatch.users u WHERE u.id = ", $id, ")")
    };
}

/// Writes the entry of a change of the user in `owner`, at the time of `clock`.
macro_rules! audit_owner {
    ($action:literal, $count:literal, $detail:literal, $by:literal) => {
        concat!(
            audited!(),
            "SELECT clock.at, '",
            $action,
            "', owner.id, owner.username, NULL::uuid, ",
            $count,
            ", ",
            $detail,
            ", ",
            by!($by),
            " FROM owner, clock)"
        )
    };
}

/// The server's clock.
macro_rules! clock_now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    };
}

pub(super) use {audit_owner, audited, by, clock_now, name_of};

macro_rules! list {
    ($user:literal, $order:literal, $beyond:literal) => {
        concat!(
            "SELECT id, at, action, user_id, username, session_id, count, detail, actor,
                 actor_name, address, request_id
             FROM nightlatch.audit_log
             WHERE ",
            $user,
            " AND at >= $2 AND at < $3 AND ($4 IS NULL OR action = ANY($4))
                 AND id ",
            $beyond,
            " $5
             ORDER BY id ",
            $order,
            " LIMIT $6"
        )
    };
}

const LIST_DOWN: &str = list!("$1 IS NULL", "DESC", "<");
const LIST_UP: &str = list!("$1 IS NULL", "ASC", ">");
const LIST_DOWN_BY_ID: &str = list!("user_id = $1", "DESC", "<");
const LIST_UP_BY_ID: &str = list!("user_id = $1", "ASC", ">");
const LIST_DOWN_BY_NAME: &str = list!("username = $1", "DESC", "<");
const LIST_UP_BY_NAME: &str = list!("username = $1", "ASC", ">");

/// Looks at the oldest `$2` entries.
pub(super) const SWEEP: &str = "
    WITH oldest AS MATERIALIZED (
        SELECT id, at FROM nightlatch.audit_log ORDER BY id LIMIT $2
    ), gone AS (
        DELETE FROM nightlatch.audit_log a USING oldest
        WHERE a.id = oldest.id AND oldest.at < $1 RETURNING 1
    )
    SELECT count(*) AS removed FROM gone";

/// Who does something, as one parameter: kind, name, address, request.
pub(super) fn actor(by: &Actor) -> Vec<Option<String>> {
    let (kind, name) = by.who.as_stored();
    vec![
        Some(kind.to_owned()),
        name.map(str::to_owned),
        by.address.map(|address| address.to_string()),
        by.request_id.as_deref().map(str::to_owned),
    ]
}

/// Those who do something, as four parameters.
pub(super) struct Actors<'a> {
    pub(super) kinds: Vec<&'static str>,
    pub(super) names: Vec<Option<&'a str>>,
    pub(super) addresses: Vec<Option<String>>,
    pub(super) request_ids: Vec<Option<&'a str>>,
}

impl<'a> Actors<'a> {
    pub(super) fn of(actors: impl Iterator<Item = &'a Actor> + Clone) -> Self {
        let stored = actors.clone().map(|by| by.who.as_stored());
        let (kinds, names) = stored.unzip();
        let addresses = actors.clone().map(|by| by.address.map(|address| address.to_string()));
        Self {
            kinds,
            names,
            addresses: addresses.collect(),
            request_ids: actors.map(|by| by.request_id.as_deref()).collect(),
        }
    }
}

impl AuditStore for PostgresRecord {
    fn list_audit(
        &self,
        query: AuditQuery,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<AuditEntry>> {
        Box::pin(self.list_entries(query, deadline))
    }
}

impl PostgresRecord {
    async fn list_entries(
        &self,
        query: AuditQuery,
        deadline: Deadline,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let doing = "reading the audit log";
        let (is_up, beyond) = match query.page {
            AuditPage::Newest => (false, i64::MAX),
            AuditPage::Below(id) => (false, id.0),
            AuditPage::Above(id) => (true, id.0),
        };
        let nobody = None::<&str>;
        let (sql, user): (_, Param) = match (&query.user, is_up) {
            (None, false) => (LIST_DOWN, (&nobody, Type::TEXT)),
            (None, true) => (LIST_UP, (&nobody, Type::TEXT)),
            (Some(AuditedUser::Id(id)), false) => (LIST_DOWN_BY_ID, (id.as_uuid(), Type::UUID)),
            (Some(AuditedUser::Id(id)), true) => (LIST_UP_BY_ID, (id.as_uuid(), Type::UUID)),
            (Some(AuditedUser::Name(name)), false) => (LIST_DOWN_BY_NAME, (name, Type::TEXT)),
            (Some(AuditedUser::Name(name)), true) => (LIST_UP_BY_NAME, (name, Type::TEXT)),
        };
        let since = query.since.map_or(i64::MIN, Timestamp::as_micros);
        let until = query.until.map_or(i64::MAX, Timestamp::as_micros);
        let actions: Vec<&str> = query.actions.iter().map(|action| action.as_str()).collect();
        let actions = Some(actions).filter(|actions| !actions.is_empty());
        let params: &[Param] = &[
            user,
            (&since, Type::INT8),
            (&until, Type::INT8),
            (&actions, Type::TEXT_ARRAY),
            (&beyond, Type::INT8),
            (&i64::from(query.limit), Type::INT8),
        ];
        let rows = self.rows(Call { doing, effect: Effect::Read, sql, params }, deadline).await?;
        rows.iter().map(|row| entry(&Reader { row, doing })).collect()
    }
}

fn entry(reader: &Reader<'_>) -> Result<AuditEntry, StoreError> {
    let request_id: Option<&str> = reader.get("request_id")?;
    let address: Option<IpAddr> = reader.get("address")?;
    Ok(AuditEntry {
        id: AuditId(reader.get("id")?),
        at: reader.time("at")?,
        action: reader.get("action")?,
        user: reader.get::<Option<Uuid>>("user_id")?.map(UserId::from_uuid),
        username: reader.get("username")?,
        session: reader.get::<Option<Uuid>>("session_id")?.map(SessionId::from_uuid),
        count: reader.get::<Option<i64>>("count")?.map(i64::cast_unsigned),
        detail: reader.get("detail")?,
        by: Actor {
            who: Who::from_stored(reader.get("actor")?, reader.get("actor_name")?),
            address,
            request_id: request_id.map(Into::into),
        },
    })
}
