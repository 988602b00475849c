//! The notes of a record about its own past.
//!
//! A dump knows nothing of being one. But tables that were made from a dump have other object ids than
//! those that it was made of: they are written down, and whoever finds them to differ says so. A copy of
//! the files (`pg_basebackup`, recovery to a point in time) has the same ids, and is noticed by servers
//! that live through it alone.

use nightlatch_core::{Deadline, StoreError};
use tokio_postgres::types::Type;

use super::PostgresRecord;
use super::call::{Call, Effect, Param};
use super::row::Reader;
use crate::past::Past;

/// Begins a history of its own where the tables are not those that were written down; the first wins.
const LOOK_AROUND: &str = "
    WITH here AS MATERIALIZED (
        SELECT convert_to(string_agg(c.relname || ' ' || c.oid, ',' ORDER BY c.relname), 'UTF8') AS place
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname IN ('feed', 'feed_head', 'sessions', 'users')
    ), known AS (
        INSERT INTO nightlatch.shared_secrets (name, value) SELECT 'place', place FROM here
        ON CONFLICT DO NOTHING
    ), moved AS (
        UPDATE nightlatch.shared_secrets s SET value = here.place FROM here
        WHERE s.name = 'place' AND s.value <> here.place
        RETURNING 1
    ), begun AS (
        UPDATE nightlatch.feed_head SET epoch = $2 WHERE EXISTS (SELECT FROM moved)
    )
    INSERT INTO nightlatch.shared_secrets (name, value)
    SELECT 'restored',
        convert_to((extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text, 'UTF8')
    FROM moved
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";

const READ: &str = "
    SELECT name, value FROM nightlatch.shared_secrets WHERE name IN ('restored', 'moved')";

const FORGET: &str = "DELETE FROM nightlatch.shared_secrets WHERE name = 'restored'";

impl PostgresRecord {
    /// What befell the record.
    ///
    /// # Errors
    /// The record's.
    pub async fn past(&self, deadline: Deadline) -> Result<Past, StoreError> {
        let doing = "reading its past";
        let (schema, epoch) = (self.server.schema.name(), self.fresh_row_id());
        let params: &[Param] = &[(&schema, Type::TEXT), (&epoch, Type::INT8)];
        let call = Call { doing, effect: Effect::Write, sql: LOOK_AROUND, params };
        self.rows(call, deadline).await?;
        let call = Call { doing, effect: Effect::Read, sql: READ, params: &[] };
        let rows = self.rows(call, deadline).await?;
        let notes = rows.iter().map(|row| {
            let reader = Reader { row, doing };
            Ok((reader.get("name")?, reader.get("value")?))
        });
        Ok(Past::of(notes.collect::<Result<Vec<_>, StoreError>>()?))
    }

    /// Somebody has dealt with the restore.
    ///
    /// # Errors
    /// The record's.
    pub async fn forget_restore(&self, deadline: Deadline) -> Result<(), StoreError> {
        let doing = "dealing with a restore";
        let call = Call { doing, effect: Effect::Write, sql: FORGET, params: &[] };
        self.rows(call, deadline).await.map(drop)
    }
}
