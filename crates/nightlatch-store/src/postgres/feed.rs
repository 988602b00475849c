//! The feed: what is read of it, who begins a new epoch, and what is written back after a fork.
//!
//! All that a poll tells is of one snapshot: a row that is missing is missing, not just late.

use std::collections::BTreeMap;

use nightlatch_core::{
    Actor, BoxFuture, Deadline, Epoch, FailureClass, FeedNews, FeedRow, FeedStore, Head, History,
    LostRevocations, LostUser, Position, SessionEnd, StoreError, StoreResult, Timestamp, UserId,
};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresRecord;
use super::call::{Call, Effect, Param};
use super::row::{Reader, fed_columns, fed_rows, head_columns};

const POLL: &str = concat!(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now,
         current_setting('transaction_read_only')::boolean AS read_only,
         asked.id AS asked, ",
    head_columns!(),
    ", ",
    fed_columns!(),
    " FROM nightlatch.feed_head head
      LEFT JOIN nightlatch.feed asked ON asked.position = $1
      LEFT JOIN LATERAL (
          SELECT * FROM nightlatch.feed WHERE position > $1 ORDER BY position LIMIT $2
      ) f ON true
      ORDER BY f.position"
);

/// Who waited for another's claim reads what that one left, which no snapshot would show: so the
/// row is updated in any case.
const CLAIM: &str = concat!(
    "UPDATE nightlatch.feed_head head
     SET epoch = CASE WHEN record_id = $1 AND epoch = $2 THEN $3 ELSE epoch END
     RETURNING ",
    head_columns!()
);

/// Users are locked before sessions, and both in the order of their ids, as everywhere.
const RESTORE_USERS: &str = concat!(
    "WITH asked AS MATERIALIZED (
         SELECT id, below, enabled
         FROM unnest($1::uuid[], $2::bigint[], $3::boolean[]) AS a (id, below, enabled)
     ), locked AS MATERIALIZED (
         -- Who has to be disabled has living sessions of the present generation: it ends, too.
         SELECT u.id, u.generation AS was, u.enabled AS could_log_in,
             coalesce(a.enabled, u.enabled) AS enabled,
             greatest(a.below,
                 u.generation + (u.enabled AND NOT coalesce(a.enabled, true))::int) AS generation
         FROM nightlatch.users u JOIN asked a ON a.id = u.id
         WHERE u.generation < a.below OR u.enabled <> a.enabled
         ORDER BY u.id FOR NO KEY UPDATE OF u
     ), owner AS (
         UPDATE nightlatch.users u
         SET generation = l.generation, enabled = l.enabled, updated_at = $4
         FROM locked l WHERE u.id = l.id
         RETURNING u.id, u.generation, u.enabled, l.was, l.could_log_in
     ), victims AS MATERIALIZED (
         SELECT s.id FROM nightlatch.sessions s JOIN owner ON s.user_id = owner.id
         WHERE s.generation < owner.generation AND s.ended_at IS NULL
         ORDER BY s.id FOR NO KEY UPDATE OF s
     ), ended AS (
         UPDATE nightlatch.sessions s SET ended_at = $4 FROM victims v WHERE s.id = v.id
         RETURNING 1
     ), told AS MATERIALIZED (
         SELECT id, kind, generation, row_number() OVER (ORDER BY id, kind) AS place
         FROM (
             SELECT id, CASE WHEN enabled THEN 2 ELSE 5 END AS kind, generation
             FROM owner WHERE generation > was
             UNION ALL
             SELECT id, 6, NULL FROM owner WHERE enabled AND NOT could_log_in
         ) all_of_them
     ), done AS MATERIALIZED (
         SELECT count(*) AS rows, (SELECT count(*) FROM ended) AS ended FROM told
     ), moved AS (
         UPDATE nightlatch.feed_head h
         SET position = h.position + done.rows, row_id = $5 + done.rows
         FROM done WHERE done.rows > 0
         RETURNING h.position - done.rows AS before, done.ended
     ), fed AS (
         INSERT INTO nightlatch.feed (position, id, kind, user_id, generation, at)
         SELECT moved.before + t.place, $5 + t.place, t.kind, t.id, t.generation, $4
         FROM moved, told t
         RETURNING *
     )
     SELECT ",
    fed_columns!(),
    " FROM fed f ORDER BY f.position"
);

impl FeedStore for PostgresRecord {
    fn poll_feed(
        &self,
        after: Option<Position>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FeedNews> {
        Box::pin(async move {
            let doing = "polling the feed";
            let (after, limit) = (after.map(|after| after.0), i64::from(limit));
            let params: &[Param] = &[(&after, Type::INT8), (&limit, Type::INT8)];
            let call = Call { doing, effect: Effect::Look, sql: POLL, params };
            let rows = self.some_rows(call, deadline).await?;
            let reader = Reader { row: &rows[0], doing };
            let read_only: bool = reader.get("read_only")?;
            Ok(FeedNews {
                head: reader.head()?,
                asked: reader.get("asked")?,
                rows: fed_rows(&rows, doing)?,
                now: Some(reader.time("now")?),
                write_failure: read_only
                    .then_some(FailureClass::Readonly)
                    .or_else(|| self.server.refusal.class(self.server.connections.now())),
            })
        })
    }

    fn claim_epoch(
        &self,
        from: History,
        fresh: Epoch,
        deadline: Deadline,
    ) -> StoreResult<'_, Head> {
        Box::pin(async move {
            let doing = "claiming an epoch";
            let params: &[Param] =
                &[(&from.record, Type::UUID), (&from.epoch.0, Type::INT8), (&fresh.0, Type::INT8)];
            let call = Call { doing, effect: Effect::Write, sql: CLAIM, params };
            let row = self.row(call, deadline).await?;
            Reader { row: &row, doing }.head()
        })
    }

    fn restore_revocations(
        &self,
        lost: LostRevocations,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<FeedRow>> {
        Box::pin(async move {
            let mut rows = Vec::new();
            if lost.everything {
                rows.extend(
                    self.end(SessionEnd::Everything, now, Actor::node(), deadline).await?.rows,
                );
            }
            rows.extend(self.end_those(&lost.sessions, now, deadline).await?);
            rows.extend(self.restore_users(&lost.users, now, deadline).await?);
            Ok(rows)
        })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.listener.changed())
    }
}

impl PostgresRecord {
    async fn restore_users(
        &self,
        lost: &[LostUser],
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<FeedRow>, StoreError> {
        // A statement updates a row once.
        let mut users: BTreeMap<UserId, LostUser> = BTreeMap::new();
        for user in lost {
            let merged = users.entry(user.id).or_insert(*user);
            merged.below = merged.below.max(user.below);
            merged.enabled = user.enabled.or(merged.enabled);
        }
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let doing = "restoring revocations";
        let ids: Vec<Uuid> = users.keys().map(|id| *id.as_uuid()).collect();
        let below: Vec<Option<i64>> =
            users.values().map(|user| user.below.map(|below| below.0)).collect();
        let enabled: Vec<Option<bool>> = users.values().map(|user| user.enabled).collect();
        let row_id = self.fresh_row_id();
        let params: &[Param] = &[
            (&ids, Type::UUID_ARRAY),
            (&below, Type::INT8_ARRAY),
            (&enabled, Type::BOOL_ARRAY),
            (&now.as_micros(), Type::INT8),
            (&row_id, Type::INT8),
        ];
        let call = Call { doing, effect: Effect::Write, sql: RESTORE_USERS, params };
        fed_rows(&self.rows(call, deadline).await?, doing)
    }
}
