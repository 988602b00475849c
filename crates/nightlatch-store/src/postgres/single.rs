//! Ends of single sessions: many who ask, in one statement.
//!
//! How statements are built is told in [`super::session`].

use nightlatch_core::{
    Actor, AuditAction, Deadline, SessionEnd, SessionId, StoreError, Timestamp, TokenHash, UserId,
    Written,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::audit::{Actors, audited, name_of};
use super::call::{Call, Effect, Param, Server};
use super::end::{DOING, lately};
use super::row::{Reader, fed_columns};

/// Single sessions, each by its id, its token, or its id and user. Who asks by the id alone gets a
/// feed row even if there is no such session; of several who ask for one session the first ends it.
/// The ids of the feed rows count on from one fresh number: as many as there turn out to be rows.
///
/// Each session is looked up, and locked in the order of `firsts`, by itself (`LATERAL`): a join
/// would read the whole table while it is small, and go on with that plan while it grows.
const END_EACH: &str = concat!(
    "WITH asked AS MATERIALIZED (
         SELECT *
         FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::bigint[], $6::text[], $7::text[],
             $8::text[], $9::text[], $10::text[]) WITH ORDINALITY
             AS a (session_id, token, user_id, at, action, actor, actor_name, address, request_id,
                 number)
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
         RETURNING s.id, s.user_id, v.number
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
     )",
    audited!(),
    "SELECT a.at, a.action, ended.user_id, ",
    name_of!("ended.user_id"),
    ", ended.id, NULL::bigint, NULL, a.actor, a.actor_name, a.address::inet, a.request_id
      FROM ended JOIN asked a ON a.number = ended.number)
     SELECT t.number, t.ended, ",
    fed_columns!(),
    " FROM told t LEFT JOIN fed f ON f.id = $5 + t.place ORDER BY t.place"
);

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

/// One session to be ended: by its id, by its token, or by its id if it is this user's.
#[derive(Clone)]
pub(super) struct Single {
    id: Option<SessionId>,
    token: Option<TokenHash>,
    user: Option<UserId>,
    at: Timestamp,
    action: AuditAction,
    by: Actor,
}

impl Single {
    /// The one that `which` names, if it names one.
    pub(super) fn of(which: SessionEnd, at: Timestamp, by: Actor) -> Option<Self> {
        let (id, token, user) = match which {
            SessionEnd::One(id) => (Some(id), None, None),
            SessionEnd::Token(token) => (None, Some(token), None),
            SessionEnd::OneOf(user, id) => (Some(id), None, Some(user)),
            SessionEnd::OthersOf(..) | SessionEnd::AllOf(_) | SessionEnd::Everything => {
                return None;
            }
        };
        Some(Self { id, token, user, at, action: which.action(), by })
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
        let actions: Vec<&str> = singles.iter().map(|single| single.action.as_str()).collect();
        let actors = Actors::of(singles.iter().map(|single| &single.by));
        let row_id = self.fresh_row_id();
        let params: &[Param] = &[
            (&ids, Type::UUID_ARRAY),
            (&tokens, Type::BYTEA_ARRAY),
            (&users, Type::UUID_ARRAY),
            (&times, Type::INT8_ARRAY),
            (&row_id, Type::INT8),
            (&actions, Type::TEXT_ARRAY),
            (&actors.kinds, Type::TEXT_ARRAY),
            (&actors.names, Type::TEXT_ARRAY),
            (&actors.addresses, Type::TEXT_ARRAY),
            (&actors.request_ids, Type::TEXT_ARRAY),
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
