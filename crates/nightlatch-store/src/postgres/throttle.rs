//! Failures that throttles count.

use nightlatch_core::{
    Deadline, Failure, StoreError, StoreResult, ThrottleKey, ThrottleScope, ThrottleStore,
    Timestamp,
};
use tokio_postgres::types::Type;

use super::PostgresRecord;
use super::call::{Call, Effect, Param};
use super::row::Reader;

const APPEND: &str = "
    INSERT INTO nightlatch.throttle_failures (scope, digest, at)
    SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::bigint[])";

const LIST: &str = "
    SELECT scope, digest, at FROM (
        SELECT id, scope, digest, at FROM nightlatch.throttle_failures
        WHERE at > $1 ORDER BY at DESC, id DESC LIMIT $2
    ) newest
    ORDER BY at, id";

impl ThrottleStore for PostgresRecord {
    fn append_failures(&self, failures: Vec<Failure>, deadline: Deadline) -> StoreResult<'_, ()> {
        Box::pin(async move {
            if failures.is_empty() {
                return Ok(());
            }
            let scopes: Vec<i16> = failures.iter().map(|f| f.key.scope as i16).collect();
            let digests: Vec<&[u8]> = failures.iter().map(|f| f.key.digest.as_slice()).collect();
            let times: Vec<i64> = failures.iter().map(|f| f.at.as_micros()).collect();
            let params: &[Param] = &[
                (&scopes, Type::INT2_ARRAY),
                (&digests, Type::BYTEA_ARRAY),
                (&times, Type::INT8_ARRAY),
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
    ) -> StoreResult<'_, Vec<Failure>> {
        Box::pin(async move {
            let doing = "listing failures";
            let (since, limit) = (since.as_micros(), i64::from(limit));
            let params: &[Param] = &[(&since, Type::INT8), (&limit, Type::INT8)];
            let call = Call { doing, effect: Effect::Read, sql: LIST, params };
            let rows = self.rows(call, deadline).await?;
            rows.iter().map(|row| failure(&Reader { row, doing })).collect()
        })
    }
}

fn failure(reader: &Reader<'_>) -> Result<Failure, StoreError> {
    let scope = ThrottleScope::from_code(reader.get("scope")?)
        .ok_or_else(|| reader.malformed("scope", "no such scope"))?;
    let digest: &[u8] = reader.get("digest")?;
    let digest = digest.try_into().map_err(|error| reader.malformed("digest", error))?;
    Ok(Failure { key: ThrottleKey::new(scope, digest), at: reader.time("at")? })
}
