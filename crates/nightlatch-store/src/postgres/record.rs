//! The record as such: its schema, its sweeping, its secrets.

use nightlatch_core::{
    BoxFuture, Deadline, KNOWN_PREFIX_RETENTION, LookupFailures, RecordStore, StoreError,
    StoreResult, Sweep, SweepBefore, Timestamp,
};
use tokio_postgres::types::Type;

use super::PostgresRecord;
use super::audit;
use super::call::{Call, Effect, Param};
use super::failure::corrupt;
use super::row::Reader;

/// What has ended or expired, in the order of an index: without it a sweep that finds nothing reads the
/// whole table.
macro_rules! sweep_sessions {
    ($table:literal) => {
        concat!(
            "WITH ended AS MATERIALIZED (
                 SELECT id FROM nightlatch.",
            $table,
            " WHERE ended_at < $1
                 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
             ), expired AS MATERIALIZED (
                 SELECT id FROM nightlatch.",
            $table,
            " WHERE expires_at < $1
                 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
             ), old AS MATERIALIZED (
                 SELECT id FROM ended UNION SELECT id FROM expired LIMIT $2
             ), gone AS (
                 DELETE FROM nightlatch.",
            $table,
            " s USING old WHERE s.id = old.id RETURNING 1
             )
             SELECT count(*) AS removed FROM gone"
        )
    };
}

const SWEEP_SESSIONS: &str = sweep_sessions!("sessions");

const SWEEP_APPLICATION_SESSIONS: &str = sweep_sessions!("application_sessions");

/// Only from the oldest row on, without gaps: `pruned_to` says that what is below may be gone.
const SWEEP_FEED: &str = "
    WITH oldest AS MATERIALIZED (
        SELECT position, at FROM nightlatch.feed
        WHERE position < (SELECT position FROM nightlatch.feed_head)
        ORDER BY position LIMIT $2
    ), old AS MATERIALIZED (
        SELECT position FROM (
            SELECT position, bool_and(at < $1) OVER (ORDER BY position) AS is_old FROM oldest
        ) judged WHERE is_old
    ), gone AS (
        DELETE FROM nightlatch.feed f USING old WHERE f.position = old.position
        RETURNING f.position
    ), done AS MATERIALIZED (
        SELECT count(*) AS removed, max(position) AS position FROM gone
    ), moved AS (
        UPDATE nightlatch.feed_head h SET pruned_to = greatest(h.pruned_to, done.position)
        FROM done WHERE done.removed > 0
    )
    SELECT removed FROM done";

const SWEEP_FAILURES: &str = "
    WITH old AS MATERIALIZED (
        SELECT id FROM nightlatch.throttle_failures WHERE at < $1
        ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM nightlatch.throttle_failures t USING old WHERE t.id = old.id RETURNING 1
    )
    SELECT count(*) AS removed FROM gone";

const SWEEP_PREFIXES: &str = "
    WITH old AS MATERIALIZED (
        SELECT user_id, prefix FROM nightlatch.known_prefixes WHERE last_login_at < $1
        ORDER BY last_login_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM nightlatch.known_prefixes k USING old
        WHERE k.user_id = old.user_id AND k.prefix = old.prefix
        RETURNING 1
    )
    SELECT count(*) AS removed FROM gone";

const STORE_SECRET: &str = "
    INSERT INTO nightlatch.shared_secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";

const FIND_SECRET: &str = "SELECT value FROM nightlatch.shared_secrets WHERE name = $1";

impl RecordStore for PostgresRecord {
    fn migrate(&self, deadline: Deadline) -> StoreResult<'_, Vec<String>> {
        Box::pin(self.bring_schema_up(deadline))
    }

    fn probe_lookups(&self, deadline: Deadline) -> BoxFuture<'_, LookupFailures> {
        self.lookups.probe(self, deadline)
    }

    fn sweep(
        &self,
        SweepBefore { ended: before, audited }: SweepBefore,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Sweep> {
        Box::pin(async move {
            let unknown_since = before.before(KNOWN_PREFIX_RETENTION);
            let sessions = self.remove(SWEEP_SESSIONS, before, limit, deadline).await?;
            let application_sessions =
                self.remove(SWEEP_APPLICATION_SESSIONS, before, limit, deadline).await?;
            let feed_rows = self.remove(SWEEP_FEED, before, limit, deadline).await?;
            let failures = self.remove(SWEEP_FAILURES, before, limit, deadline).await?;
            let rest = limit.saturating_sub(u32::try_from(failures).unwrap_or(limit));
            let prefixes = self.remove(SWEEP_PREFIXES, unknown_since, rest, deadline).await?;
            let audit_rows = self.remove(audit::SWEEP, audited, limit, deadline).await?;
            Ok(Sweep {
                sessions,
                application_sessions,
                feed_rows,
                throttle_rows: failures + prefixes,
                audit_rows,
            })
        })
    }

    fn shared_secret<'a>(
        &'a self,
        name: &'a str,
        fresh: Vec<u8>,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<u8>> {
        Box::pin(async move {
            let doing = "reading a shared secret";
            let params: &[Param] = &[(&name, Type::TEXT), (&fresh, Type::BYTEA)];
            let call = Call { doing, effect: Effect::Write, sql: STORE_SECRET, params };
            self.rows(call, deadline).await?;
            // Read by a statement of its own: the first one may not see what kept it from storing.
            let call = Call { doing, effect: Effect::Read, sql: FIND_SECRET, params: &params[..1] };
            let row = self.row_opt(call, deadline).await?;
            let row = row.ok_or_else(|| corrupt(doing, "what was just stored is not there"))?;
            Reader { row: &row, doing }.get("value")
        })
    }
}

impl PostgresRecord {
    async fn remove(
        &self,
        sql: &'static str,
        before: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> Result<u64, StoreError> {
        let doing = "sweeping";
        let (before, limit) = (before.as_micros(), i64::from(limit));
        let params: &[Param] = &[(&before, Type::INT8), (&limit, Type::INT8)];
        let row = self.row(Call { doing, effect: Effect::Write, sql, params }, deadline).await?;
        Reader { row: &row, doing }.count("removed")
    }
}
