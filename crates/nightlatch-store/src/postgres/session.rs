//! Sessions: each change and its feed row are one statement that commits by itself.
//!
//! Each statement locks what it changes first and the feed's head last, by data dependence: the
//! head's new position comes out of the very `UPDATE` that locks it, and is held until the commit.
//! So positions are in commit order, and no lock outlives a client, as there is no transaction to
//! be left open. Sessions are locked in the order of their ids, so that two that end many do not
//! wait for each other. All parts of a statement see the snapshot it began with; a row that was waited
//! for is read anew, which makes what is read newer than the `as_of` beside it, never older.

use std::sync::Arc;

use nightlatch_core::{
    Actor, AddressPrefix, Deadline, FoundSession, NewSession, Session, SessionEnd, SessionId,
    SessionStore, StoreError, StoreResult, Timestamp, TokenHash, UserId, Username, Written,
};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresRecord;
use super::audit::{actor, audited, by, name_of};
use super::call::{Call, Effect, Param, without_head};
use super::end::lately;

use super::row::{Reader, fed_columns, fed_rows, head_columns, session_columns, user_columns};

/// The generation is looked at again while the user's row is locked: between the check of the
/// password and here somebody may have changed it.
const CREATE: &str = concat!(
    "WITH head AS MATERIALIZED (
         SELECT * FROM nightlatch.feed_head
     ), owner AS MATERIALIZED (
         SELECT u.* FROM nightlatch.users u
         WHERE u.id = $3 AND u.generation = $4 AND u.enabled
         FOR SHARE
     ), replaced AS (
         UPDATE nightlatch.sessions SET ended_at = $5
         WHERE token_hash = $11 AND ended_at IS NULL AND EXISTS (SELECT FROM owner)
         RETURNING id, user_id
     ), created AS (
         INSERT INTO nightlatch.sessions (id, token_hash, user_id, generation, created_at,
             last_seen_at, expires_at, remember, address, user_agent,
             refresh_hash, refresh_step, refresh_exchanged_at, refresh_expires_at)
         SELECT $1, $2, owner.id, owner.generation, $5, $6, $7, $8, $9, $10,
             $14, CASE WHEN $14 IS NULL THEN NULL ELSE 0 END,
             CASE WHEN $14 IS NULL THEN NULL ELSE 0 END, $15
         FROM owner
         RETURNING id
     ), seen_again AS (
         -- Once an hour is enough for a memory of 30 days, and lets logins that come together
         -- pass each other.
         UPDATE nightlatch.known_prefixes k SET last_login_at = $5 FROM owner
         WHERE k.user_id = owner.id AND k.prefix = $12 AND k.last_login_at < $5 - 3600000000
         RETURNING 1
     ), seen AS (
         INSERT INTO nightlatch.known_prefixes (user_id, prefix, last_login_at)
         SELECT owner.id, $12, $5 FROM owner
         ON CONFLICT (user_id, prefix) DO NOTHING
         RETURNING 1
     ), written AS MATERIALIZED (
         SELECT replaced.id, (SELECT count(*) FROM created) + (SELECT count(*) FROM seen_again)
             + (SELECT count(*) FROM seen) AS rows
         FROM replaced
     ), moved AS (
         UPDATE nightlatch.feed_head h SET position = h.position + 1, row_id = $13
         FROM written
         RETURNING h.position, written.id AS session_id
     ), fed AS (
         INSERT INTO nightlatch.feed (position, id, kind, session_id, at)
         SELECT position, $13, 1, session_id, $5 FROM moved
         RETURNING *
     )",
    audited!(),
    "SELECT $5, 'login', owner.id, owner.username, $1, NULL::bigint, NULL, ",
    by!("$16"),
    " FROM owner
      UNION ALL
      SELECT $5, 'session-replaced', replaced.user_id, ",
    name_of!("replaced.user_id"),
    ", replaced.id, NULL, NULL, ",
    by!("$16"),
    " FROM replaced)
     SELECT ",
    head_columns!(),
    ", ",
    user_columns!(),
    ", ",
    fed_columns!(),
    " FROM head LEFT JOIN owner u ON true LEFT JOIN fed f ON true"
);

/// What [`CREATE`] gives, if the session `$1` was created; `$2` is the id of the feed row.
const CREATED: &str = concat!(
    "SELECT ",
    head_columns!(),
    ", ",
    user_columns!(),
    ", ",
    fed_columns!(),
    " FROM nightlatch.feed_head head
      JOIN nightlatch.sessions s ON s.id = $1 AND s.ended_at IS NULL
      JOIN nightlatch.users u ON u.id = s.user_id AND u.generation = s.generation AND u.enabled
      LEFT JOIN nightlatch.feed f ON f.position > head.position - ",
    lately!(),
    " AND f.id = $2"
);

/// From the head outwards: the row of the head is always there, so no row at all is never taken
/// for "no such session".
const FIND: &str = concat!(
    "SELECT ",
    head_columns!(),
    ", ",
    session_columns!(),
    ", ",
    user_columns!(),
    " FROM nightlatch.feed_head head LEFT JOIN (nightlatch.sessions s JOIN nightlatch.users u
          ON u.id = s.user_id AND u.generation = s.generation AND u.enabled)
      ON s.token_hash = $1 AND s.ended_at IS NULL"
);

const LIST: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM nightlatch.sessions s JOIN nightlatch.users u
          ON u.id = s.user_id AND u.generation = s.generation AND u.enabled
      WHERE s.user_id = $1 AND s.ended_at IS NULL AND s.expires_at > $2
      ORDER BY s.created_at DESC, s.id DESC LIMIT $3"
);

/// No id is the greatest of all UUIDs: theirs have a version.
const LIST_ALL: &str = concat!(
    "SELECT ",
    session_columns!(),
    ", u.username FROM nightlatch.sessions s JOIN nightlatch.users u
          ON u.id = s.user_id AND u.generation = s.generation AND u.enabled
      WHERE s.id < coalesce($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
          AND s.ended_at IS NULL AND s.expires_at > $2
      ORDER BY s.id DESC LIMIT $3"
);

/// Never an upsert: a row that has ended or gone must not come back.
const TOUCH: &str = "
    WITH seen AS MATERIALIZED (
        SELECT id, max(at) AS at FROM unnest($1::uuid[], $2::bigint[]) AS t (id, at) GROUP BY id
    ), locked AS MATERIALIZED (
        SELECT s.id, seen.at FROM nightlatch.sessions s JOIN seen ON seen.id = s.id
        WHERE s.ended_at IS NULL AND s.last_seen_at < seen.at AND s.expires_at > seen.at
        ORDER BY s.id FOR NO KEY UPDATE OF s
    )
    UPDATE nightlatch.sessions s SET last_seen_at = locked.at FROM locked
    WHERE s.id = locked.id AND s.ended_at IS NULL AND s.last_seen_at < locked.at";

impl SessionStore for PostgresRecord {
    fn create_session(
        &self,
        session: NewSession,
        prefix: AddressPrefix,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<FoundSession>>> {
        Box::pin(self.insert_session(session, prefix, by, deadline))
    }

    fn find_session(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<FoundSession>>> {
        Box::pin(async move {
            let found = self.find_by_token(token, deadline).await;
            self.lookups.sessions.note(token, &found, StoreError::class);
            found
        })
    }

    fn list_sessions(
        &self,
        user: UserId,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<Session>> {
        Box::pin(async move {
            let doing = "listing sessions";
            let (now, limit) = (now.as_micros(), i64::from(limit));
            let params: &[Param] =
                &[(user.as_uuid(), Type::UUID), (&now, Type::INT8), (&limit, Type::INT8)];
            let call = Call { doing, effect: Effect::Read, sql: LIST, params };
            let rows = self.rows(call, deadline).await?;
            rows.iter().map(|row| Reader { row, doing }.session()).collect()
        })
    }

    fn list_all_sessions(
        &self,
        below: Option<SessionId>,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<(Session, Username)>> {
        Box::pin(async move {
            let doing = "listing sessions";
            let below = below.map(|id| *id.as_uuid());
            let (now, limit) = (now.as_micros(), i64::from(limit));
            let params: &[Param] =
                &[(&below, Type::UUID), (&now, Type::INT8), (&limit, Type::INT8)];
            let call = Call { doing, effect: Effect::Read, sql: LIST_ALL, params };
            let rows = self.rows(call, deadline).await?;
            let readers = rows.iter().map(|row| Reader { row, doing });
            readers.map(|reader| Ok((reader.session()?, reader.username()?))).collect()
        })
    }

    fn end_sessions(
        &self,
        which: SessionEnd,
        now: Timestamp,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<u64>> {
        Box::pin(self.end(which, now, by, deadline))
    }

    fn touch_sessions(
        &self,
        seen: Vec<(SessionId, Timestamp)>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        Box::pin(async move {
            if seen.is_empty() {
                return Ok(());
            }
            let ids: Vec<Uuid> = seen.iter().map(|(id, _)| *id.as_uuid()).collect();
            let times: Vec<i64> = seen.iter().map(|(_, at)| at.as_micros()).collect();
            let params: &[Param] = &[(&ids, Type::UUID_ARRAY), (&times, Type::INT8_ARRAY)];
            let doing = "noting when sessions were used";
            let call = Call { doing, effect: Effect::Write, sql: TOUCH, params };
            self.rows(call, deadline).await?;
            Ok(())
        })
    }
}

impl PostgresRecord {
    async fn find_by_token(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> Result<Option<Arc<FoundSession>>, StoreError> {
        let doing = "finding a session";
        let token = token.as_bytes().as_slice();
        let params: &[Param] = &[(&token, Type::BYTEA)];
        let call = Call { doing, effect: Effect::Read, sql: FIND, params };
        let row = self.row(call, deadline).await?;
        let reader = Reader { row: &row, doing };
        if reader.get::<Option<Uuid>>("session_id")?.is_none() {
            return Ok(None);
        }
        let (session, user) = (reader.session()?, reader.user()?);
        let (as_of, history) = (reader.as_of()?, reader.history()?);
        Ok(Some(Arc::new(FoundSession::new(session, user, as_of, history))))
    }

    async fn insert_session(
        &self,
        new: NewSession,
        prefix: AddressPrefix,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Option<Written<FoundSession>>, StoreError> {
        let doing = "creating a session";
        let session = new.session;
        let token = new.token.as_bytes().as_slice();
        let replaces = new.replaces.as_ref().map(|token| token.as_bytes().as_slice());
        let prefix = prefix.as_bytes().as_slice();
        let refresh = new.refresh.as_ref().map(|refresh| refresh.token.as_bytes().as_slice());
        let row_id = self.fresh_row_id();
        let params: &[Param] = &[
            (session.id.as_uuid(), Type::UUID),
            (&token, Type::BYTEA),
            (session.user_id.as_uuid(), Type::UUID),
            (&new.generation.0, Type::INT8),
            (&session.created_at.as_micros(), Type::INT8),
            (&session.last_seen_at.as_micros(), Type::INT8),
            (&session.expires_at.as_micros(), Type::INT8),
            (&session.remember, Type::BOOL),
            (&session.client.address, Type::INET),
            (&session.client.user_agent, Type::TEXT),
            (&replaces, Type::BYTEA),
            (&prefix, Type::BYTEA),
            (&row_id, Type::INT8),
            (&refresh, Type::BYTEA),
            (&new.refresh.map(|refresh| refresh.expires_at.as_micros()), Type::INT8),
            (&actor(&by), Type::TEXT_ARRAY),
        ];
        let change = Call { doing, effect: Effect::Write, sql: CREATE, params };
        let seen: &[Param] = &[(session.id.as_uuid(), Type::UUID), (&row_id, Type::INT8)];
        let seen = Call { doing, effect: Effect::Read, sql: CREATED, params: seen };
        let rows = self.server.change(change, seen, deadline).await?;
        let Some(row) = rows.first() else { return Err(without_head(doing)) };
        let reader = Reader { row, doing };
        let Some(user) = reader.user_opt()? else { return Ok(None) };
        let (as_of, history) = (reader.as_of()?, reader.history()?);
        let value = FoundSession::new(session, user, as_of, history);
        Ok(Some(Written { value, rows: fed_rows(&rows, doing)? }))
    }
}
