//! Sessions of other applications in `PostgreSQL`.
//!
//! What is saved and its row in the feed are one statement: the session's row is locked first and the
//! feed's head last, so of two that save at once the one that is found afterwards is the one whose
//! position is higher.

use std::sync::Arc;

use nightlatch_core::{
    ApplicationSession, DataStore, Deadline, FailureClass, NewApplicationSession, Outcome,
    SaveData, SessionData, SessionId, StoreError, StoreErrorKind, StoreResult, Timestamp,
    TokenHash, Written,
};
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;
use tokio_postgres::types::Type;

use super::PostgresRecord;
use super::call::{Call, Effect, Param, without_head};
use super::end::lately;
use super::row::{Reader, fed_columns, fed_rows};

/// How many save or delete at once: each holds the feed's head until its commit, so more would only wait
/// there, with connections that others need.
pub(super) const SAVES_MAX: usize = 4;

/// The columns of [`session`], of the head and of a row named `s`.
macro_rules! columns {
    () => {
        "head.record_id, head.epoch, head.position, head.row_id, \
         s.id AS session_id, s.data, s.expires_at"
    };
}

const CREATE: &str = concat!(
    "WITH head AS MATERIALIZED (
         SELECT * FROM nightlatch.feed_head
     ), created AS (
         INSERT INTO nightlatch.application_sessions (id, token_hash, data, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (token_hash) DO NOTHING
         RETURNING *
     )
     SELECT ",
    columns!(),
    " FROM head LEFT JOIN created s ON true"
);

/// What [`CREATE`] gives, if it has happened; no row if not.
const CREATED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM nightlatch.feed_head head JOIN nightlatch.application_sessions s
          ON s.id = $1 AND s.ended_at IS NULL"
);

/// From the head outwards, see `postgres/session.rs`.
const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM nightlatch.feed_head head LEFT JOIN nightlatch.application_sessions s
          ON s.token_hash = $1 AND s.ended_at IS NULL AND s.expires_at > $2"
);

/// Never an upsert: what has ended or gone must not come back.
const SAVE: &str = concat!(
    "WITH old AS MATERIALIZED (
         SELECT * FROM nightlatch.feed_head
     ), s AS (
         UPDATE nightlatch.application_sessions SET data = $2, expires_at = $3
         WHERE token_hash = $1 AND ended_at IS NULL AND expires_at > $4
         RETURNING *
     ), moved AS (
         UPDATE nightlatch.feed_head h SET position = h.position + 1, row_id = $5
         FROM s
         RETURNING h.*, s.id AS session_id
     ), f AS (
         INSERT INTO nightlatch.feed (position, id, kind, session_id, at)
         SELECT position, $5, 7, session_id, $4 FROM moved
         RETURNING *
     )
     SELECT ",
    columns!(),
    ", ",
    fed_columns!(),
    " FROM old LEFT JOIN (s CROSS JOIN moved head CROSS JOIN f) ON true"
);

/// What [`SAVE`] gives, if its feed row `$5` is there: as it was saved, whatever was saved since.
const SAVED: &str = concat!(
    "SELECT head.record_id, head.epoch, f.position, f.id AS row_id,
         f.session_id, $2::bytea AS data, $3::bigint AS expires_at, ",
    fed_columns!(),
    " FROM nightlatch.feed_head head
      JOIN nightlatch.feed f ON f.position > head.position - ",
    lately!(),
    " AND f.id = $5
      WHERE $1::bytea IS NOT NULL AND $4::bigint IS NOT NULL"
);

const DELETE: &str = concat!(
    "WITH head AS MATERIALIZED (
         SELECT * FROM nightlatch.feed_head
     ), ended AS (
         UPDATE nightlatch.application_sessions SET ended_at = $2, data = ''
         WHERE token_hash = $1 AND ended_at IS NULL
         RETURNING id
     ), moved AS (
         UPDATE nightlatch.feed_head h SET position = h.position + 1, row_id = $3
         FROM ended
         RETURNING h.position, ended.id AS session_id
     ), f AS (
         INSERT INTO nightlatch.feed (position, id, kind, session_id, at)
         SELECT position, $3, 1, session_id, $2 FROM moved
         RETURNING *
     )
     SELECT ",
    fed_columns!(),
    " FROM head LEFT JOIN f ON true"
);

/// What [`DELETE`] gives, if its feed row `$3` is there.
const DELETED: &str = concat!(
    "SELECT ",
    fed_columns!(),
    " FROM nightlatch.feed_head head
      JOIN nightlatch.feed f ON f.position > head.position - ",
    lately!(),
    " AND f.id = $3
      WHERE $1::bytea IS NOT NULL AND $2::bigint IS NOT NULL"
);

const CREATING: &str = "creating an application's session";
const FINDING: &str = "finding an application's session";
const SAVING: &str = "saving an application's session";
const DELETING: &str = "deleting an application's session";

impl DataStore for PostgresRecord {
    fn create_data(
        &self,
        new: NewApplicationSession,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<ApplicationSession>> {
        Box::pin(async move {
            let (token, data) = (new.token.as_bytes().as_slice(), new.data.as_bytes());
            let params: &[Param] = &[
                (new.id.as_uuid(), Type::UUID),
                (&token, Type::BYTEA),
                (&data, Type::BYTEA),
                (&new.created_at.as_micros(), Type::INT8),
                (&new.expires_at.as_micros(), Type::INT8),
            ];
            let doing = CREATING;
            let change = Call { doing, effect: Effect::Write, sql: CREATE, params };
            let seen = Call { doing, effect: Effect::Read, sql: CREATED, params: &params[..1] };
            let rows = self.server.change(change, seen, deadline).await?;
            let Some(row) = rows.first() else { return Err(without_head(doing)) };
            session(&Reader { row, doing })
        })
    }

    fn find_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<ApplicationSession>>> {
        Box::pin(async move {
            let token = token.as_bytes().as_slice();
            let params: &[Param] = &[(&token, Type::BYTEA), (&now.as_micros(), Type::INT8)];
            let doing = FINDING;
            let call = Call { doing, effect: Effect::Read, sql: FIND, params };
            let row = self.row(call, deadline).await?;
            Ok(session(&Reader { row: &row, doing })?.map(Arc::new))
        })
    }

    fn save_data(
        &self,
        save: SaveData,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ApplicationSession>>> {
        Box::pin(async move {
            let _place = self.place_to_save(SAVING, deadline).await?;
            let (token, data) = (save.token.as_bytes().as_slice(), save.data.as_bytes());
            let params: &[Param] = &[
                (&token, Type::BYTEA),
                (&data, Type::BYTEA),
                (&save.expires_at.as_micros(), Type::INT8),
                (&save.now.as_micros(), Type::INT8),
                (&self.fresh_row_id(), Type::INT8),
            ];
            let doing = SAVING;
            let change = Call { doing, effect: Effect::Write, sql: SAVE, params };
            let seen = Call { doing, effect: Effect::Read, sql: SAVED, params };
            let rows = self.server.change(change, seen, deadline).await?;
            let Some(row) = rows.first() else { return Err(without_head(doing)) };
            let Some(value) = session(&Reader { row, doing })? else { return Ok(None) };
            Ok(Some(Written { value, rows: fed_rows(&rows, doing)? }))
        })
    }

    fn delete_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>> {
        Box::pin(async move {
            let _place = self.place_to_save(DELETING, deadline).await?;
            let token = token.as_bytes().as_slice();
            let params: &[Param] = &[
                (&token, Type::BYTEA),
                (&now.as_micros(), Type::INT8),
                (&self.fresh_row_id(), Type::INT8),
            ];
            let doing = DELETING;
            let change = Call { doing, effect: Effect::Write, sql: DELETE, params };
            let seen = Call { doing, effect: Effect::Read, sql: DELETED, params };
            let rows = self.server.change(change, seen, deadline).await?;
            if rows.is_empty() {
                return Err(without_head(doing));
            }
            let rows = fed_rows(&rows, doing)?;
            Ok(Written { value: !rows.is_empty(), rows })
        })
    }
}

impl PostgresRecord {
    async fn place_to_save(
        &self,
        doing: &'static str,
        deadline: Deadline,
    ) -> Result<SemaphorePermit<'_>, StoreError> {
        let span = self.server.connections.remaining(deadline);
        let place = timeout(span, self.saves.acquire()).await.ok().and_then(Result::ok);
        place.ok_or_else(|| {
            let (kind, class) = (StoreErrorKind::Overloaded, FailureClass::Busy);
            StoreError::new(kind, class, Outcome::NotApplied, doing)
        })
    }
}

/// The session, if the outer join found one.
fn session(reader: &Reader<'_>) -> Result<Option<ApplicationSession>, StoreError> {
    let Some(id) = reader.get::<Option<uuid::Uuid>>("session_id")? else { return Ok(None) };
    let data: &[u8] = reader.get("data")?;
    Ok(Some(ApplicationSession {
        id: SessionId::from_uuid(id),
        data: SessionData::try_new(data).map_err(|error| reader.malformed("data", error))?,
        expires_at: reader.time("expires_at")?,
        as_of: reader.as_of()?,
        history: reader.history()?,
    }))
}
