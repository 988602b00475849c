//! Ending sessions: the statements that revoke, and the answers to those who asked.
//!
//! Kept apart from the others because what they write to the feed is what every node is bound by. How
//! they are built is told in [`super::session`].

use nightlatch_core::{
    Actor, Deadline, FeedRow, SessionEnd, SessionId, StoreError, Timestamp, Written,
};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresRecord;
use super::audit::{actor, audit_owner, audited, by, name_of};
use super::call::{Call, Effect, Param, without_head};
use super::row::{Reader, fed_columns, fed_rows};
use super::single::Single;

pub(super) const DOING: &str = "ending sessions";

/// How many rows of the feed are looked through for one whose answer was lost.
macro_rules! lately {
    () => {
        "10000"
    };
}

/// What the others of this module give, if their feed rows are there: `$1` is the id of the only one,
/// or the one before the first.
const ENDED_MANY: &str = concat!(
    "SELECT CASE f.kind WHEN 1 THEN count(*) OVER () ELSE (
         SELECT count(*) FROM nightlatch.sessions s
         WHERE s.ended_at = f.at AND s.user_id = coalesce(f.user_id, s.user_id)
     ) + (
         SELECT count(*) FROM nightlatch.application_sessions s
         WHERE s.ended_at = f.at AND f.kind = 3
     ) END AS ended, ",
    fed_columns!(),
    " FROM nightlatch.feed_head head
      JOIN nightlatch.feed f ON f.position > head.position - ",
    lately!(),
    " AND f.id >= $1 AND f.id <= $1 + ",
    lately!(),
    " ORDER BY f.position"
);

/// Ends the living sessions of a table that a condition names, with a feed row for each. Parameters:
/// `$2` time, `$3` id of the feed row before the first.
macro_rules! end_where {
    ($table:literal, $end:literal, $condition:literal, $audited:expr) => {
        concat!(
            "WITH victims AS MATERIALIZED (
                 SELECT id FROM nightlatch.",
            $table,
            " WHERE ",
            $condition,
            " AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE
             ), ended AS (
                 UPDATE nightlatch.",
            $table,
            " s SET ",
            $end,
            " FROM victims v WHERE s.id = v.id
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
                 RETURNING *
             )",
            $audited,
            " SELECT done.ended, ",
            fed_columns!(),
            " FROM done LEFT JOIN fed f ON true ORDER BY f.position"
        )
    };
}

const END_OTHERS_OF: &str = end_where!(
    "sessions",
    "ended_at = $2",
    "user_id = $1 AND id <> $4",
    concat!(
        audited!(),
        "SELECT $2, 'sessions-revoked', $1, ",
        name_of!("$1"),
        ", NULL::uuid, done.ended, NULL, ",
        by!("$5"),
        " FROM done WHERE done.ended > 0)"
    )
);

const END_THOSE: &str = end_where!("sessions", "ended_at = $2", "id = ANY($1)", "");

const END_THOSE_OF_APPLICATIONS: &str =
    end_where!("application_sessions", "ended_at = $2, data = ''", "id = ANY($1)", "");

/// The end of statements that raise a user's generation: CTE `owner` has the user's row with the
/// raised one. Parameters: `$1` user, `$2` time or null, `$3` id of the feed row.
macro_rules! end_all_of_owner {
    ($kind:literal) => {
        concat!(
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
                 SELECT moved.position, $3, ",
            $kind,
            ", owner.id, owner.generation, clock.at FROM moved, owner, clock
                 RETURNING *
             )"
        )
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

pub(super) use {at_clock, end_all_of_owner, lately};

const END_ALL_OF: &str = concat!(
    at_clock!(),
    ", owner AS (
         UPDATE nightlatch.users
         SET generation = generation + 1, updated_at = (SELECT at FROM clock)
         WHERE id = $1
         RETURNING id, username, generation
     )",
    end_all_of_owner!(2),
    audit_owner!("sessions-revoked", "(SELECT ended FROM done)", "NULL", "$4"),
    " SELECT done.ended, ",
    fed_columns!(),
    " FROM done LEFT JOIN fed f ON true"
);

/// Everybody's generation rises, so that no login which is under way outlives it. Users are locked
/// before sessions, and both in the order of their ids, as everywhere.
const END_EVERYTHING: &str = concat!(
    "WITH everybody AS MATERIALIZED (
         SELECT id FROM nightlatch.users ORDER BY id FOR NO KEY UPDATE
     ), raised AS (
         UPDATE nightlatch.users u SET generation = generation + 1
         FROM everybody e WHERE u.id = e.id
         RETURNING 1
     ), victims AS MATERIALIZED (
         SELECT id FROM nightlatch.sessions
         WHERE ended_at IS NULL AND (SELECT count(*) FROM raised) >= 0
         ORDER BY id FOR NO KEY UPDATE
     ), ended AS (
         UPDATE nightlatch.sessions s SET ended_at = $1 FROM victims v WHERE s.id = v.id
         RETURNING 1
     ), of_applications AS MATERIALIZED (
         SELECT id FROM nightlatch.application_sessions
         WHERE ended_at IS NULL AND (SELECT count(*) FROM ended) >= 0
         ORDER BY id FOR NO KEY UPDATE
     ), ended_there AS (
         UPDATE nightlatch.application_sessions s SET ended_at = $1, data = ''
         FROM of_applications v WHERE s.id = v.id
         RETURNING 1
     ), done AS MATERIALIZED (
         SELECT (SELECT count(*) FROM ended) + (SELECT count(*) FROM ended_there) AS ended
     ), moved AS (
         UPDATE nightlatch.feed_head h SET position = h.position + 1, row_id = $2
         FROM done
         RETURNING h.position, done.ended
     ), fed AS (
         INSERT INTO nightlatch.feed (position, id, kind, at)
         SELECT position, $2, 3, $1 FROM moved
         RETURNING *
     )",
    audited!(),
    "SELECT $1, 'sessions-revoked', NULL::uuid, NULL, NULL::uuid, done.ended, NULL, ",
    by!("$3"),
    " FROM done)
     SELECT moved.ended, ",
    fed_columns!(),
    " FROM moved LEFT JOIN fed f ON true"
);

impl PostgresRecord {
    pub(super) async fn end(
        &self,
        which: SessionEnd,
        now: Timestamp,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Written<u64>, StoreError> {
        let at = now.as_micros();
        let row_id = self.fresh_row_id();
        let stored = actor(&by);
        let (at, feed): (Param, Param) = ((&at, Type::INT8), (&row_id, Type::INT8));
        let stored: Param = (&stored, Type::TEXT_ARRAY);
        match which {
            SessionEnd::OthersOf(user, kept) => {
                let (user, kept): (Param, Param) =
                    ((user.as_uuid(), Type::UUID), (kept.as_uuid(), Type::UUID));
                let params: &[Param] = &[user, at, feed.clone(), kept, stored];
                self.end_many(END_OTHERS_OF, params, feed, deadline).await
            }
            SessionEnd::AllOf(user) => {
                let params: &[Param] = &[(user.as_uuid(), Type::UUID), at, feed.clone(), stored];
                self.end_many(END_ALL_OF, params, feed, deadline).await
            }
            SessionEnd::Everything => {
                self.end_many(END_EVERYTHING, &[at, feed.clone(), stored], feed, deadline).await
            }
            SessionEnd::One(_) | SessionEnd::Token(_) | SessionEnd::OneOf(..) => {
                let single = Single::of(which, now, by).expect("it names one session");
                self.gatherer.end(&self.server, single, deadline).await
            }
        }
    }

    /// Ends those of these sessions that live, and tells of nobody else.
    pub(super) async fn end_those(
        &self,
        ids: &[SessionId],
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<FeedRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = ids.iter().map(|id| *id.as_uuid()).collect();
        let mut rows = Vec::new();
        for sql in [END_THOSE, END_THOSE_OF_APPLICATIONS] {
            let (at, row_id) = (now.as_micros(), self.fresh_row_id());
            let params: &[Param] =
                &[(&ids, Type::UUID_ARRAY), (&at, Type::INT8), (&row_id, Type::INT8)];
            rows.extend(self.end_many(sql, params, (&row_id, Type::INT8), deadline).await?.rows);
        }
        Ok(rows)
    }

    async fn end_many(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        row_id: Param<'_>,
        deadline: Deadline,
    ) -> Result<Written<u64>, StoreError> {
        let change = Call { doing: DOING, effect: Effect::Write, sql, params };
        let seen = Call { doing: DOING, effect: Effect::Read, sql: ENDED_MANY, params: &[row_id] };
        let rows = self.server.change(change, seen, deadline).await?;
        let Some(row) = rows.first() else { return Err(without_head(DOING)) };
        let value = Reader { row, doing: DOING }.count("ended")?;
        Ok(Written { value, rows: fed_rows(&rows, DOING)? })
    }
}
