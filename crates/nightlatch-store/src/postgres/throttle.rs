//! Failures that throttles count, and what the other nodes have of them.
//!
//! Whoever appends holds the head row until the commit, so places are in commit order, and a node
//! that has read up to one has missed nothing. Failures come in batches: a few rows a second.

use nightlatch_core::{
    AuditedFailure, Deadline, Failure, FailureNews, FailurePosition, KeptFailures, NODE_LIFE,
    NodeId, StoreError, StoreResult, ThrottleKey, ThrottleScope, ThrottleStore, Timestamp,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresRecord;
use super::audit::{Actors, audited};
use super::call::{Call, Effect, Param};
use super::failure::corrupt;
use super::node::micros;
use super::row::Reader;

const APPEND: &str = concat!(
    "WITH head AS (
        UPDATE nightlatch.throttle_head SET position = position + cardinality($1::smallint[])
        RETURNING position - cardinality($1::smallint[]) AS before
    )",
    audited!(),
    "SELECT a.at, 'login-failed', a.user_id, a.username, NULL::uuid, nullif(a.count, 1), NULL,
         a.actor, a.actor_name, a.address::inet, a.request_id
     FROM unnest($5::bigint[], $6::uuid[], $7::text[], $8::bigint[], $9::text[], $10::text[],
         $11::text[], $12::text[])
         AS a (at, user_id, username, count, actor, actor_name, address, request_id))
    INSERT INTO nightlatch.throttle_failures (scope, digest, at, node, position)
    SELECT new.scope, new.digest, new.at, $4, head.before + new.number
    FROM head, unnest($1::smallint[], $2::bytea[], $3::bigint[])
        WITH ORDINALITY AS new (scope, digest, at, number)"
);

const LIST: &str = "
    SELECT head.position AS head, kept.scope, kept.digest, kept.at
    FROM nightlatch.throttle_head head LEFT JOIN LATERAL (
        SELECT id, scope, digest, at FROM nightlatch.throttle_failures
        WHERE at > $1 ORDER BY at DESC, id DESC LIMIT $2
    ) kept ON true
    ORDER BY kept.at, kept.id";

const POLL: &str = "
    SELECT head.position AS head, new.scope, new.digest, new.at, new.position,
        coalesce(new.node = $1, false) AS own,
        (SELECT count(*) FROM nightlatch.nodes n WHERE n.id <> $1 AND n.beat_at >
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $4) AS others
    FROM nightlatch.throttle_head head LEFT JOIN LATERAL (
        SELECT scope, digest, at, node, position FROM nightlatch.throttle_failures
        WHERE position > $2 ORDER BY position LIMIT $3
    ) new ON true
    ORDER BY new.position";

impl ThrottleStore for PostgresRecord {
    fn append_failures(
        &self,
        by: NodeId,
        failures: Vec<Failure>,
        audited: Vec<AuditedFailure>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        Box::pin(async move {
            if failures.is_empty() && audited.is_empty() {
                return Ok(());
            }
            let scopes: Vec<i16> = failures.iter().map(|f| f.key.scope as i16).collect();
            let digests: Vec<&[u8]> = failures.iter().map(|f| f.key.digest.as_slice()).collect();
            let times: Vec<i64> = failures.iter().map(|f| f.at.as_micros()).collect();
            let actors = Actors::of(audited.iter().map(|failure| &failure.tried.by));
            let params: &[Param] = &[
                (&scopes, Type::INT2_ARRAY),
                (&digests, Type::BYTEA_ARRAY),
                (&times, Type::INT8_ARRAY),
                (by.as_uuid(), Type::UUID),
                (&each(&audited, |failure| failure.at.as_micros()), Type::INT8_ARRAY),
                (&each(&audited, user_id), Type::UUID_ARRAY),
                (&each(&audited, username), Type::TEXT_ARRAY),
                (&each(&audited, |failure| failure.count.cast_signed()), Type::INT8_ARRAY),
                (&actors.kinds, Type::TEXT_ARRAY),
                (&actors.names, Type::TEXT_ARRAY),
                (&actors.addresses, Type::TEXT_ARRAY),
                (&actors.request_ids, Type::TEXT_ARRAY),
            ];
            let doing = "writing down failures";
            let call = Call { doing, effect: Effect::Write, sql: APPEND, params };
            self.rows(call, deadline).await?;
            Ok(())
        })
    }

    fn list_failures(
        &self,
        since: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, KeptFailures> {
        Box::pin(async move {
            let doing = "listing failures";
            let (since, limit) = (since.as_micros(), i64::from(limit));
            let params: &[Param] = &[(&since, Type::INT8), (&limit, Type::INT8)];
            let call = Call { doing, effect: Effect::Read, sql: LIST, params };
            let rows = self.rows(call, deadline).await?;
            let through = head(&rows, doing)?;
            let failures = rows.iter().map(|row| failure(&Reader { row, doing }));
            let failures = failures.filter_map(Result::transpose).collect::<Result<_, _>>()?;
            Ok(KeptFailures { failures, through })
        })
    }

    fn poll_failures(
        &self,
        by: NodeId,
        after: FailurePosition,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FailureNews> {
        Box::pin(async move {
            let doing = "asking what other nodes have counted";
            let (limit, life) = (i64::from(limit), micros(NODE_LIFE));
            let params: &[Param] = &[
                (by.as_uuid(), Type::UUID),
                (&after.0, Type::INT8),
                (&limit, Type::INT8),
                (&life, Type::INT8),
            ];
            let call = Call { doing, effect: Effect::Read, sql: POLL, params };
            let rows = self.rows(call, deadline).await?;
            let end = head(&rows, doing)?;
            let mut news =
                FailureNews { failures: Vec::new(), through: end, is_cut: false, live: 1 };
            for row in &rows {
                let reader = Reader { row, doing };
                let others = u32::try_from(reader.count("others")?).unwrap_or(u32::MAX);
                news.live = others.saturating_add(1);
                let position: Option<i64> = reader.get("position")?;
                let Some(position) = position else { continue };
                news.through = FailurePosition(position);
                let is_own: bool = reader.get("own")?;
                if !is_own {
                    news.failures.extend(failure(&reader)?);
                }
            }
            news.is_cut = news.through < end;
            Ok(news)
        })
    }
}

/// A column of failures that are audited.
fn each<'a, T>(audited: &'a [AuditedFailure], of: impl Fn(&'a AuditedFailure) -> T) -> Vec<T> {
    audited.iter().map(of).collect()
}

fn user_id(failure: &AuditedFailure) -> Option<Uuid> {
    failure.tried.user.as_ref().map(|(id, _)| *id.as_uuid())
}

fn username(failure: &AuditedFailure) -> Option<&str> {
    failure.tried.user.as_ref().map(|(_, name)| name.as_str())
}

/// Every row carries it, and there is one even if there are no failures.
fn head(rows: &[Row], doing: &'static str) -> Result<FailurePosition, StoreError> {
    let row = rows
        .first()
        .ok_or_else(|| corrupt(doing, "the record's own row is missing (table throttle_head)"))?;
    Reader { row, doing }.get("head").map(FailurePosition)
}

/// `None`: the row carries the head alone.
fn failure(reader: &Reader<'_>) -> Result<Option<Failure>, StoreError> {
    let scope: Option<i16> = reader.get("scope")?;
    let Some(scope) = scope else { return Ok(None) };
    let scope = ThrottleScope::from_code(scope)
        .ok_or_else(|| reader.malformed("scope", "no such scope"))?;
    let digest: &[u8] = reader.get("digest")?;
    let digest = digest.try_into().map_err(|error| reader.malformed("digest", error))?;
    Ok(Some(Failure { key: ThrottleKey::new(scope, digest), at: reader.time("at")? }))
}
