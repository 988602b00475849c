//! Nodes and their heartbeats.
//!
//! Each heartbeat holds the row of the service clock until it commits, so they come one after the
//! other, in the order of the clock that they read while they hold it.

use std::time::Duration;

use nightlatch_core::{
    Cluster, Deadline, HEARTBEAT_EVERY, NODE_LIFE, NODE_RETENTION, NODE_SWEEP_MAX, NodeId,
    NodeStore, StoreError, StoreResult, Timestamp,
};
use tokio_postgres::types::Type;

use super::PostgresRecord;
use super::call::{Call, Effect, Param};
use super::row::Reader;

/// A clock that goes back adds nothing; what other nodes then wrote in the future is of now, so
/// that none of them lives on for as long as the step was.
const HEARTBEAT: &str = "
    WITH clock AS (
        UPDATE nightlatch.service_clock SET
            service_time = service_time + least(greatest(
                (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - beat_at, 0), $2),
            beat_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
        RETURNING service_time, beat_at
    ), beat AS (
        INSERT INTO nightlatch.nodes (id, beat_at) SELECT $1, beat_at FROM clock
        ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at
    ), brought_back AS (
        UPDATE nightlatch.nodes n SET beat_at = clock.beat_at FROM clock
        WHERE n.id <> $1 AND n.beat_at > clock.beat_at
    ), old AS MATERIALIZED (
        SELECT n.id FROM nightlatch.nodes n, clock
        WHERE n.id <> $1 AND n.beat_at < clock.beat_at - $4 ORDER BY n.beat_at LIMIT $5
    ), swept AS (
        DELETE FROM nightlatch.nodes n USING old WHERE n.id = old.id
    )
    SELECT clock.service_time,
        (SELECT count(*) FROM nightlatch.nodes n
         WHERE n.id <> $1 AND n.beat_at > clock.beat_at - $3) AS others,
        (SELECT max(n.beat_at) FROM nightlatch.nodes n
         WHERE n.id <> $1 AND n.beat_at <= clock.beat_at - $3) AS silent_beat
    FROM clock";

const FIND: &str = "
    SELECT c.service_time,
        (SELECT count(*) FROM nightlatch.nodes n
         WHERE n.id <> $1 AND n.beat_at > now.micros - $2) AS others,
        (SELECT max(n.beat_at) FROM nightlatch.nodes n
         WHERE n.id <> $1 AND n.beat_at <= now.micros - $2) AS silent_beat
    FROM nightlatch.service_clock c,
        (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros) now";

const LEAVE: &str = "DELETE FROM nightlatch.nodes WHERE id = $1";

impl NodeStore for PostgresRecord {
    fn heartbeat(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster> {
        Box::pin(async move {
            let (every, life, retention) =
                (micros(HEARTBEAT_EVERY), micros(NODE_LIFE), micros(NODE_RETENTION));
            let sweep_max = i64::from(NODE_SWEEP_MAX);
            let params: &[Param] = &[
                (node.as_uuid(), Type::UUID),
                (&every, Type::INT8),
                (&life, Type::INT8),
                (&retention, Type::INT8),
                (&sweep_max, Type::INT8),
            ];
            let doing = "saying that this node lives";
            let call = Call { doing, effect: Effect::Write, sql: HEARTBEAT, params };
            cluster(&Reader { row: &self.row(call, deadline).await?, doing })
        })
    }

    fn find_cluster(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster> {
        Box::pin(async move {
            let life = micros(NODE_LIFE);
            let params: &[Param] = &[(node.as_uuid(), Type::UUID), (&life, Type::INT8)];
            let doing = "asking which nodes live";
            let call = Call { doing, effect: Effect::Read, sql: FIND, params };
            cluster(&Reader { row: &self.row(call, deadline).await?, doing })
        })
    }

    fn leave(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, ()> {
        Box::pin(async move {
            let params: &[Param] = &[(node.as_uuid(), Type::UUID)];
            let doing = "saying that this node leaves";
            self.rows(Call { doing, effect: Effect::Write, sql: LEAVE, params }, deadline).await?;
            Ok(())
        })
    }
}

fn cluster(reader: &Reader<'_>) -> Result<Cluster, StoreError> {
    let others = u32::try_from(reader.count("others")?).unwrap_or(u32::MAX);
    let silent_beat: Option<i64> = reader.get("silent_beat")?;
    Ok(Cluster {
        live: others.saturating_add(1),
        silent: silent_beat.map(|beat| Timestamp::from_micros(beat).after(NODE_LIFE)),
        service_time: Duration::from_micros(reader.count("service_time")?),
    })
}

pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
