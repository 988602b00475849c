//! Sessions: each change and its feed row are one statement that commits by itself.
//!
//! Each statement locks what it changes first and the feed's head last, by data dependence: the
//! head's new position comes out of the very `UPDATE` that locks it, and is held until the commit.
//! So positions are in commit order, and no lock outlives a client, as there is no transaction to
//! be left open. Sessions are locked in the order of their ids, so that two that end many do not
//! wait for each other. All parts of a statement see the snapshot it began with; a row that was waited
//! for is read anew, which makes what is read newer than the `as_of` beside it, never older.

use nightlatch_core::{
    AddressPrefix, Deadline, FoundSession, NewSession, Session, SessionEnd, SessionId,
    SessionStore, StoreError, StoreResult, Timestamp, TokenHash, UserId,
};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresRecord;
use super::call::{Call, Effect, Param};
use super::row::{Reader, session_columns, user_columns};

/// The generation is looked at again while the user's row is locked: between the check of the
/// password and here somebody may have changed it.
const CREATE: &str = concat!(
    "WITH head AS MATERIALIZED (
         SELECT epoch, position, row_id FROM nightlatch.feed_head
     ), owner AS MATERIALIZED (
         SELECT u.* FROM nightlatch.users u
         WHERE u.id = $3 AND u.generation = $4 AND u.enabled
         FOR SHARE
     ), replaced AS (
         UPDATE nightlatch.sessions SET ended_at = $5
         WHERE token_hash = $11 AND ended_at IS NULL AND EXISTS (SELECT FROM owner)
         RETURNING id
     ), created AS (
         INSERT INTO nightlatch.sessions (id, token_hash, user_id, generation, created_at,
             last_seen_at, expires_at, remember, address, user_agent)
         SELECT $1, $2, owner.id, owner.generation, $5, $6, $7, $8, $9, $10 FROM owner
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
     )
     SELECT head.epoch, head.position, head.row_id, ",
    user_columns!(),
    " FROM head LEFT JOIN owner u ON true"
);

/// From the head outwards: the row of the head is always there, so no row at all is never taken
/// for "no such session".
const FIND: &str = concat!(
    "SELECT h.epoch, h.position, h.row_id, ",
    session_columns!(),
    ", ",
    user_columns!(),
    " FROM nightlatch.feed_head h LEFT JOIN (nightlatch.sessions s JOIN nightlatch.users u
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

const END_ONE: &str = "
    WITH ended AS (
        UPDATE nightlatch.sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL
        RETURNING id
    ), done AS MATERIALIZED (
        SELECT count(*) AS ended FROM ended
    ), moved AS (
        UPDATE nightlatch.feed_head h SET position = h.position + 1, row_id = $3
        FROM done
        RETURNING h.position, done.ended
    ), fed AS (
        INSERT INTO nightlatch.feed (position, id, kind, session_id, at)
        SELECT position, $3, 1, $1, $2 FROM moved
    )
    SELECT ended FROM moved";

/// The ids of the feed rows count on from one fresh number: as many as there turn out to be rows.
macro_rules! end_some {
    ($which:literal) => {
        concat!(
            "WITH victims AS MATERIALIZED (
                 SELECT id FROM nightlatch.sessions WHERE ",
            $which,
            " AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE
             ), ended AS (
                 UPDATE nightlatch.sessions s SET ended_at = $2 FROM victims v WHERE s.id = v.id
                 RETURNING s.id
             ), numbered AS MATERIALIZED (
                 SELECT id, row_number() OVER (ORDER BY id) AS number FROM ended
             ), done AS MATERIALIZED (
                 SELECT count(*) AS ended FROM numbered
             ), moved AS (
                 UPDATE nightlatch.feed_head h
                 SET position = h.position + done.ended, row_id = $3 + done.ended
                 FROM done WHERE done.ended > 0
                 RETURNING h.position - done.ended AS before
             ), fed AS (
                 INSERT INTO nightlatch.feed (position, id, kind, session_id, at)
                 SELECT moved.before + n.number, $3 + n.number, 1, n.id, $2
                 FROM moved, numbered n
             )
             SELECT ended FROM done"
        )
    };
}

const END_TOKEN: &str = end_some!("token_hash = $1");

const END_ONE_OF: &str = end_some!("id = $1 AND user_id = $4");

const END_OTHERS_OF: &str = end_some!("id <> $1 AND user_id = $4");

/// The end of statements that raise a user's generation: CTE `owner` has the user's row with the
/// raised one. Parameters: `$1` user, `$2` time or null, `$3` id of the feed row.
macro_rules! end_all_of_owner {
    () => {
        ", victims AS MATERIALIZED (
             SELECT s.id FROM nightlatch.sessions s
             WHERE s.user_id = (SELECT id FROM owner) AND s.ended_at IS NULL
             ORDER BY s.id FOR NO KEY UPDATE
         ), ended AS (
             UPDATE nightlatch.sessions s SET ended_at = (SELECT at FROM clock)
             FROM victims v WHERE s.id = v.id
             RETURNING s.id
         ), done AS MATERIALIZED (
             SELECT count(*) AS ended FROM ended
         ), moved AS (
             UPDATE nightlatch.feed_head h SET position = h.position + 1, row_id = $3
             FROM owner, done
             RETURNING h.position
         ), fed AS (
             INSERT INTO nightlatch.feed (position, id, kind, user_id, generation, at)
             SELECT moved.position, $3, 2, owner.id, owner.generation, clock.at
             FROM moved, owner, clock
         )"
    };
}

/// The beginning of those statements.
macro_rules! at_clock {
    () => {
        "WITH clock AS MATERIALIZED (
             SELECT coalesce($2, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS at
         )"
    };
}

pub(super) use {at_clock, end_all_of_owner};

const END_ALL_OF: &str = concat!(
    at_clock!(),
    ", owner AS (
         UPDATE nightlatch.users
         SET generation = generation + 1, updated_at = (SELECT at FROM clock)
         WHERE id = $1
         RETURNING id, generation
     )",
    end_all_of_owner!(),
    " SELECT ended FROM done"
);

const END_EVERYTHING: &str = "
    WITH victims AS MATERIALIZED (
        SELECT id FROM nightlatch.sessions WHERE ended_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
    ), ended AS (
        UPDATE nightlatch.sessions s SET ended_at = $1 FROM victims v WHERE s.id = v.id
        RETURNING 1
    ), done AS MATERIALIZED (
        SELECT count(*) AS ended FROM ended
    ), moved AS (
        UPDATE nightlatch.feed_head h SET position = h.position + 1, row_id = $2
        FROM done
        RETURNING h.position, done.ended
    ), fed AS (
        INSERT INTO nightlatch.feed (position, id, kind, at)
        SELECT position, $2, 3, $1 FROM moved
    )
    SELECT ended FROM moved";

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
        deadline: Deadline,
    ) -> StoreResult<'_, Option<FoundSession>> {
        Box::pin(self.insert_session(session, prefix, deadline))
    }

    fn find_session(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<FoundSession>> {
        Box::pin(async move {
            let doing = "finding a session";
            let token = token.as_bytes().as_slice();
            let params: &[Param] = &[(&token, Type::BYTEA)];
            let call = Call { doing, effect: Effect::Read, sql: FIND, params };
            let row = self.row(call, deadline).await?;
            let reader = Reader { row: &row, doing };
            if reader.get::<Option<Uuid>>("session_id")?.is_none() {
                return Ok(None);
            }
            let (epoch, as_of) = reader.as_of()?;
            let (session, user) = (reader.session()?, reader.user()?);
            Ok(Some(FoundSession { session, user, as_of, epoch }))
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

    fn end_sessions(
        &self,
        which: SessionEnd,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, u64> {
        Box::pin(self.end(which, now, deadline))
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
    async fn insert_session(
        &self,
        new: NewSession,
        prefix: AddressPrefix,
        deadline: Deadline,
    ) -> Result<Option<FoundSession>, StoreError> {
        let doing = "creating a session";
        let session = new.session;
        let token = new.token.as_bytes().as_slice();
        let replaces = new.replaces.as_ref().map(|token| token.as_bytes().as_slice());
        let prefix = prefix.as_bytes().as_slice();
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
        ];
        let call = Call { doing, effect: Effect::Write, sql: CREATE, params };
        let row = self.row(call, deadline).await?;
        let reader = Reader { row: &row, doing };
        let Some(user) = reader.user_opt()? else { return Ok(None) };
        let (epoch, as_of) = reader.as_of()?;
        Ok(Some(FoundSession { session, user, as_of, epoch }))
    }

    async fn end(
        &self,
        which: SessionEnd,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<u64, StoreError> {
        let now = now.as_micros();
        let row_id = self.fresh_row_id();
        let (at, feed): (Param, Param) = ((&now, Type::INT8), (&row_id, Type::INT8));
        let token;
        let (sql, params): (_, Vec<Param>) = match &which {
            SessionEnd::One(id) => (END_ONE, vec![(id.as_uuid(), Type::UUID), at, feed]),
            SessionEnd::Token(hash) => {
                token = hash.as_bytes().as_slice();
                (END_TOKEN, vec![(&token, Type::BYTEA), at, feed])
            }
            SessionEnd::OneOf(user, id) => (
                END_ONE_OF,
                vec![(id.as_uuid(), Type::UUID), at, feed, (user.as_uuid(), Type::UUID)],
            ),
            SessionEnd::OthersOf(user, id) => (
                END_OTHERS_OF,
                vec![(id.as_uuid(), Type::UUID), at, feed, (user.as_uuid(), Type::UUID)],
            ),
            SessionEnd::AllOf(user) => (END_ALL_OF, vec![(user.as_uuid(), Type::UUID), at, feed]),
            SessionEnd::Everything => (END_EVERYTHING, vec![at, feed]),
        };
        let doing = "ending sessions";
        let call = Call { doing, effect: Effect::Write, sql, params: &params };
        let row = self.row(call, deadline).await?;
        Reader { row: &row, doing }.count("ended")
    }
}
