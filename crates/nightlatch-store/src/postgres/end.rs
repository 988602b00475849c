//! Ending sessions: the statements that revoke, and the answers to those who asked.
//!
//! Kept apart from the others because what they write to the feed is what every node is bound by. How
//! they are built is told in [`super::session`].

use nightlatch_core::{
    Deadline, FeedRow, SessionEnd, SessionId, StoreError, Timestamp, TokenHash, UserId, Written,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresRecord;
use super::call::{Call, Effect, Param, Server, without_head};
use super::row::{Reader, fed_columns, fed_rows};

pub(super) const DOING: &str = "ending sessions";

/// Single sessions, each by its id, its token, or its id and user. Who asks by the id alone gets a
/// feed row even if there is no such session; of several who ask for one session the first ends it.
/// The ids of the feed rows count on from one fresh number: as many as there turn out to be rows.
///
/// Each session is looked up, and locked in the order of `firsts`, by itself (`LATERAL`): a join
/// would read the whole table while it is small, and go on with that plan while it grows.
const END_EACH: &str = concat!(
    "WITH asked AS MATERIALIZED (
         SELECT number, session_id, token, user_id, at
         FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::bigint[]) WITH ORDINALITY
             AS a (session_id, token, user_id, at, number)
     ), named AS MATERIALIZED (
         SELECT s.id, a.number, a.at FROM asked a CROSS JOIN LATERAL (
             SELECT id FROM nightlatch.sessions
             WHERE id = a.session_id AND user_id = coalesce(a.user_id, user_id) OFFSET 0
         ) s
         UNION ALL
         SELECT s.id, a.number, a.at FROM asked a CROSS JOIN LATERAL (
             SELECT id FROM nightlatch.sessions WHERE token_hash = a.token OFFSET 0
         ) s
     ), firsts AS MATERIALIZED (
         SELECT DISTINCT ON (id) id, number, at FROM named ORDER BY id, number
     ), victims AS MATERIALIZED (
         SELECT s.id, firsts.number, firsts.at FROM firsts CROSS JOIN LATERAL (
             SELECT id FROM nightlatch.sessions
             WHERE id = firsts.id AND ended_at IS NULL FOR NO KEY UPDATE
         ) s
     ), ended AS (
         UPDATE nightlatch.sessions s SET ended_at = v.at FROM victims v WHERE s.id = v.id
         RETURNING s.id, v.number
     ), told AS MATERIALIZED (
         SELECT a.number, a.at, coalesce(ended.id, a.session_id) AS session_id,
             (ended.id IS NOT NULL)::int::bigint AS ended,
             row_number() OVER (ORDER BY a.number) AS place
         FROM asked a LEFT JOIN ended ON ended.number = a.number
         WHERE ended.id IS NOT NULL OR (a.token IS NULL AND a.user_id IS NULL)
     ), done AS MATERIALIZED (
         SELECT count(*) AS rows FROM told
     ), moved AS (
         UPDATE nightlatch.feed_head h
         SET position = h.position + done.rows, row_id = $5 + done.rows
         FROM done WHERE done.rows > 0
         RETURNING h.position - done.rows AS before
     ), fed AS (
         INSERT INTO nightlatch.feed (position, id, kind, session_id, at)
         SELECT moved.before + t.place, $5 + t.place, 1, t.session_id, t.at FROM moved, told t
         RETURNING *
     )
     SELECT t.number, t.ended, ",
    fed_columns!(),
    " FROM told t LEFT JOIN fed f ON f.id = $5 + t.place ORDER BY t.place"
);

/// How many rows of the feed are looked through for one whose answer was lost.
macro_rules! lately {
    () => {
        "10000"
    };
}

/// What [`END_EACH`] gives of those that it has ended: the ids of their feed rows tell.
const ENDED_EACH: &str = concat!(
    "SELECT a.number, (s.ended_at = f.at)::int::bigint AS ended, ",
    fed_columns!(),
    " FROM unnest($1::uuid[], $2::bytea[], $4::uuid[])
          WITH ORDINALITY AS a (session_id, token, user_id, number)
      CROSS JOIN nightlatch.feed_head head
      JOIN nightlatch.feed f ON f.position > head.position - ",
    lately!(),
    " AND f.id > $3 AND f.id <= $3 + cardinality($1)
      JOIN nightlatch.sessions s
          ON s.id = f.session_id AND (s.id = a.session_id OR s.token_hash = a.token)
          AND s.user_id = coalesce(a.user_id, s.user_id)
      ORDER BY a.number"
);

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
    ($table:literal, $end:literal, $condition:literal) => {
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
             )
             SELECT done.ended, ",
            fed_columns!(),
            " FROM done LEFT JOIN fed f ON true ORDER BY f.position"
        )
    };
}

const END_OTHERS_OF: &str = end_where!("sessions", "ended_at = $2", "user_id = $1 AND id <> $4");

const END_THOSE: &str = end_where!("sessions", "ended_at = $2", "id = ANY($1)");

const END_THOSE_OF_APPLICATIONS: &str =
    end_where!("application_sessions", "ended_at = $2, data = ''", "id = ANY($1)");

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
         RETURNING id, generation
     )",
    end_all_of_owner!(2),
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
     )
     SELECT moved.ended, ",
    fed_columns!(),
    " FROM moved LEFT JOIN fed f ON true"
);

/// One session to be ended: by its id, by its token, or by its id if it is this user's.
#[derive(Clone, Copy)]
pub(super) struct Single {
    id: Option<SessionId>,
    token: Option<TokenHash>,
    user: Option<UserId>,
    at: Timestamp,
}

impl Single {
    pub(super) const fn by_id(id: SessionId, at: Timestamp) -> Self {
        Self { id: Some(id), token: None, user: None, at }
    }

    const fn by_token(token: TokenHash, at: Timestamp) -> Self {
        Self { id: None, token: Some(token), user: None, at }
    }

    const fn of_user(user: UserId, id: SessionId, at: Timestamp) -> Self {
        Self { id: Some(id), token: None, user: Some(user), at }
    }
}

impl PostgresRecord {
    pub(super) async fn end(
        &self,
        which: SessionEnd,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Written<u64>, StoreError> {
        let at = now.as_micros();
        let row_id = self.fresh_row_id();
        let (at, feed): (Param, Param) = ((&at, Type::INT8), (&row_id, Type::INT8));
        match which {
            SessionEnd::One(id) => self.gather(Single::by_id(id, now), deadline).await,
            SessionEnd::Token(token) => self.gather(Single::by_token(token, now), deadline).await,
            SessionEnd::OneOf(user, id) => {
                self.gather(Single::of_user(user, id, now), deadline).await
            }
            SessionEnd::OthersOf(user, kept) => {
                let params: &[Param] =
                    &[(user.as_uuid(), Type::UUID), at, feed.clone(), (kept.as_uuid(), Type::UUID)];
                self.end_many(END_OTHERS_OF, params, feed, deadline).await
            }
            SessionEnd::AllOf(user) => {
                let params: &[Param] = &[(user.as_uuid(), Type::UUID), at.clone(), feed.clone()];
                self.end_many(END_ALL_OF, params, feed, deadline).await
            }
            SessionEnd::Everything => {
                self.end_many(END_EVERYTHING, &[at, feed.clone()], feed, deadline).await
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

    async fn gather(&self, single: Single, deadline: Deadline) -> Result<Written<u64>, StoreError> {
        self.gatherer.end(&self.server, single, deadline).await
    }
}

impl Server {
    /// Ends single sessions in one statement: one answer for each, in order.
    pub(super) async fn end_each(
        &self,
        singles: &[Single],
        deadline: Deadline,
    ) -> Result<Vec<Written<u64>>, StoreError> {
        if singles.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Option<Uuid>> =
            singles.iter().map(|single| single.id.map(|id| *id.as_uuid())).collect();
        let tokens: Vec<Option<&[u8]>> = singles
            .iter()
            .map(|single| single.token.as_ref().map(|token| token.as_bytes().as_slice()))
            .collect();
        let users: Vec<Option<Uuid>> =
            singles.iter().map(|single| single.user.map(|id| *id.as_uuid())).collect();
        let times: Vec<i64> = singles.iter().map(|single| single.at.as_micros()).collect();
        let row_id = self.fresh_row_id();
        let params: &[Param] = &[
            (&ids, Type::UUID_ARRAY),
            (&tokens, Type::BYTEA_ARRAY),
            (&users, Type::UUID_ARRAY),
            (&times, Type::INT8_ARRAY),
            (&row_id, Type::INT8),
        ];
        let change = Call { doing: DOING, effect: Effect::Write, sql: END_EACH, params };
        let seen: &[Param] =
            &[params[0].clone(), params[1].clone(), params[4].clone(), params[2].clone()];
        let seen = Call { doing: DOING, effect: Effect::Read, sql: ENDED_EACH, params: seen };
        let rows = self.change(change, seen, deadline).await?;
        answers(&rows, singles.len())
    }
}

/// What the rows of [`END_EACH`] say to each of those who asked.
fn answers(rows: &[Row], asked: usize) -> Result<Vec<Written<u64>>, StoreError> {
    let mut answers = vec![Written { value: 0, rows: Vec::new() }; asked];
    for row in rows {
        let reader = Reader { row, doing: DOING };
        let number = reader.count("number")?;
        let answer = usize::try_from(number).ok().and_then(|n| answers.get_mut(n.checked_sub(1)?));
        let answer = answer.ok_or_else(|| reader.malformed("number", "nobody asked"))?;
        answer.value = reader.count("ended")?;
        answer.rows.push(reader.fed()?);
    }
    Ok(answers)
}
