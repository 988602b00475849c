//! Refresh tokens and signing keys: an exchange is one statement that commits by itself.
//!
//! The session's row is locked first and judged as it then is, so of those who present one token at
//! the same moment one exchanges it and the others are told the same. Nothing else is locked: a logout
//! or a password change that commits meanwhile stands above the position that the answer carries.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, CLOCKS_APART, Deadline, FoundSession, HEARTBEAT_EVERY, KeyId, Rotated, Rotation,
    SessionId, StoreError, StoreResult, StoredKey, Timestamp, TokenHash, TokenStore, Written,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::PostgresRecord;
use super::audit::{actor, audited, by, name_of};
use super::call::{Call, Effect, Param, is_lost, without_head};
use super::node::micros;
use super::row::{Reader, fed_columns, fed_rows, head_columns, session_columns, user_columns};

/// What is done with a token: [`nightlatch_core::Rotation::judge`], where the row is locked.
const ROTATE: &str = concat!(
    "WITH head AS MATERIALIZED (
         SELECT * FROM nightlatch.feed_head
     ), service AS MATERIALIZED (
         SELECT c.service_time + least(greatest(
             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - c.beat_at, 0), $9) AS now
         FROM nightlatch.service_clock c
     ), known AS MATERIALIZED (
         SELECT s.id, s.refresh_key, CASE
             WHEN s.refresh_hash = $2 OR ($4 AND $3 = s.refresh_step + 1
                 AND substr(s.refresh_hash, 1, 16) = $13) THEN 'first'
             WHEN s.refresh_previous = $2 AND (s.refresh_key <> ALL ($14)
                 OR (SELECT now FROM service) - s.refresh_exchanged_at <= $8) THEN 'again'
             WHEN s.refresh_previous IS DISTINCT FROM $2 AND NOT ($4 AND $3 <= s.refresh_step)
                 THEN 'none'
             WHEN s.last_seen_at > $5 AND s.last_seen_at
                 <= (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $15 THEN 'late'
             ELSE 'reuse' END AS exchange
         FROM nightlatch.sessions s
         WHERE s.id = $1 AND s.ended_at IS NULL AND s.refresh_hash IS NOT NULL
             AND s.expires_at > $5 AND s.refresh_expires_at > $5
             AND ($10 IS NULL OR s.last_seen_at > $10)
             AND EXISTS (SELECT FROM nightlatch.users u
                 WHERE u.id = s.user_id AND u.generation = s.generation AND u.enabled)
         FOR NO KEY UPDATE OF s
     ), exchanged AS (
         UPDATE nightlatch.sessions s SET refresh_hash = $6, refresh_previous = $2,
             refresh_key = $7, refresh_step = $3 + 1,
             refresh_exchanged_at = (SELECT now FROM service), refresh_expires_at = $11,
             last_seen_at = greatest(s.last_seen_at, $5)
         FROM known WHERE s.id = known.id AND known.exchange = 'first'
     ), reused AS (
         UPDATE nightlatch.sessions s SET ended_at = $5
         FROM known WHERE s.id = known.id AND known.exchange = 'reuse' AND s.ended_at IS NULL
         RETURNING s.id, s.user_id
     ), moved AS (
         UPDATE nightlatch.feed_head h SET position = h.position + 1, row_id = $12
         FROM reused
         RETURNING h.position, reused.id AS session_id
     ), fed AS (
         INSERT INTO nightlatch.feed (position, id, kind, session_id, at)
         SELECT position, $12, 1, session_id, $5 FROM moved
         RETURNING *
     )",
    audited!(),
    "SELECT $5, 'refresh-token-reused', reused.user_id, ",
    name_of!("reused.user_id"),
    ", reused.id, NULL::bigint, NULL, ",
    by!("$16"),
    " FROM reused)
     SELECT ",
    head_columns!(),
    ", ",
    session_columns!(),
    ", ",
    user_columns!(),
    ", ",
    fed_columns!(),
    ", known.exchange, known.refresh_key
      FROM head LEFT JOIN known ON true
      LEFT JOIN nightlatch.sessions s ON s.id = known.id
      LEFT JOIN nightlatch.users u ON u.id = s.user_id
      LEFT JOIN fed f ON true"
);

const LIST_KEYS: &str =
    "SELECT number, sealed, stored_at, signs_from FROM nightlatch.signing_keys ORDER BY number";

const ADD_KEY: &str = concat!(
    "WITH added AS (
         INSERT INTO nightlatch.signing_keys (number, sealed, stored_at, signs_from)
         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING number
     )",
    audited!(),
    "SELECT $3, 'signing-key-added', NULL::uuid, NULL, NULL::uuid, NULL::bigint,
         'key ' || added.number, ",
    by!("$5"),
    " FROM added)
     SELECT number FROM added"
);

const RESEAL: &str =
    "UPDATE nightlatch.signing_keys SET sealed = $3 WHERE number = $1 AND sealed = $2";

const KNOWS: &str = "
    SELECT EXISTS (SELECT FROM nightlatch.sessions
        WHERE id = $1 AND ended_at IS NULL AND $2 IN (refresh_hash, refresh_previous)) AS known";

/// Who sends a statement again, since its answer was lost, is told what the first came to, whatever the
/// grace is: longer than any request takes.
const GRACE_OF_ONE_REQUEST: Duration = Duration::from_mins(2);

impl TokenStore for PostgresRecord {
    fn rotate(
        &self,
        rotation: Rotation,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<Rotated>> {
        Box::pin(self.exchange(rotation, by, deadline))
    }

    fn knows_refresh(
        &self,
        session: SessionId,
        presented: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool> {
        Box::pin(async move {
            let doing = "asking for a refresh token";
            let presented = presented.as_bytes().as_slice();
            let params: &[Param] = &[(session.as_uuid(), Type::UUID), (&presented, Type::BYTEA)];
            let call = Call { doing, effect: Effect::Read, sql: KNOWS, params };
            let row = self.row(call, deadline).await?;
            Reader { row: &row, doing }.get("known")
        })
    }

    fn list_keys(&self, deadline: Deadline) -> StoreResult<'_, Vec<StoredKey>> {
        Box::pin(async move {
            let doing = "listing signing keys";
            let call = Call { doing, effect: Effect::Read, sql: LIST_KEYS, params: &[] };
            let rows = self.rows(call, deadline).await?;
            rows.iter().map(|row| stored_key(&Reader { row, doing })).collect()
        })
    }

    fn add_key(&self, key: StoredKey, by: Actor, deadline: Deadline) -> StoreResult<'_, bool> {
        Box::pin(async move {
            let doing = "storing a signing key";
            let params: &[Param] = &[
                (&i64::from(key.number), Type::INT8),
                (&key.sealed, Type::BYTEA),
                (&key.stored_at.as_micros(), Type::INT8),
                (&key.signs_from.as_micros(), Type::INT8),
                (&actor(&by), Type::TEXT_ARRAY),
            ];
            let call = Call { doing, effect: Effect::Write, sql: ADD_KEY, params };
            Ok(self.row_opt(call, deadline).await?.is_some())
        })
    }

    fn reseal_key(
        &self,
        number: u32,
        (old, new): (Vec<u8>, Vec<u8>),
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        Box::pin(async move {
            let doing = "sealing a signing key anew";
            let params: &[Param] =
                &[(&i64::from(number), Type::INT8), (&old, Type::BYTEA), (&new, Type::BYTEA)];
            self.rows(Call { doing, effect: Effect::Write, sql: RESEAL, params }, deadline).await?;
            Ok(())
        })
    }
}

impl PostgresRecord {
    async fn exchange(
        &self,
        rotation: Rotation,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Written<Rotated>, StoreError> {
        let by = actor(&by);
        let told = self.ask_for_successor(&rotation, &by, rotation.grace, deadline).await;
        let rows = match told {
            Err(lost) if is_lost(&lost) => {
                let grace = rotation.grace.max(GRACE_OF_ONE_REQUEST);
                let told = self.ask_for_successor(&rotation, &by, grace, deadline).await;
                told.map_err(|_| lost)?
            }
            told => told?,
        };
        let Some(row) = rows.first() else { return Err(without_head(EXCHANGING)) };
        let reader = Reader { row, doing: EXCHANGING };
        let value = match reader.get::<Option<&str>>("exchange")? {
            Some("first") => renewed(&reader, rotation.key)?,
            Some("again") => renewed(&reader, key_id(&reader)?)?,
            Some("reuse") => Rotated::Reused,
            Some("late") => Rotated::Late,
            Some(_) | None => Rotated::Ended,
        };
        Ok(Written { value, rows: fed_rows(&rows, EXCHANGING)? })
    }

    async fn ask_for_successor(
        &self,
        rotation: &Rotation,
        by: &[Option<String>],
        grace: Duration,
        deadline: Deadline,
    ) -> Result<Vec<Row>, StoreError> {
        let (presented, successor) = (rotation.presented.as_bytes(), rotation.successor.as_bytes());
        let keys: Vec<&[u8]> = rotation.keys.iter().map(KeyId::as_slice).collect();
        let row_id = self.fresh_row_id();
        let params: &[Param] = &[
            (rotation.session.as_uuid(), Type::UUID),
            (&presented.as_slice(), Type::BYTEA),
            (&i64::from(rotation.step), Type::INT8),
            (&rotation.is_proven, Type::BOOL),
            (&rotation.now.as_micros(), Type::INT8),
            (&successor.as_slice(), Type::BYTEA),
            (&rotation.key.as_slice(), Type::BYTEA),
            (&micros(grace), Type::INT8),
            (&micros(HEARTBEAT_EVERY), Type::INT8),
            (&rotation.idle_since.map(Timestamp::as_micros), Type::INT8),
            (&rotation.expires_at.as_micros(), Type::INT8),
            (&row_id, Type::INT8),
            (&rotation.before.as_slice(), Type::BYTEA),
            (&keys, Type::BYTEA_ARRAY),
            (&micros(CLOCKS_APART), Type::INT8),
            (&by, Type::TEXT_ARRAY),
        ];
        let (doing, effect) = (EXCHANGING, Effect::Write);
        self.rows(Call { doing, effect, sql: ROTATE, params }, deadline).await
    }
}

const EXCHANGING: &str = "exchanging a refresh token";

fn renewed(reader: &Reader<'_>, key: KeyId) -> Result<Rotated, StoreError> {
    let (session, user) = (reader.session()?, reader.user()?);
    let found = FoundSession::new(session, user, reader.as_of()?, reader.history()?);
    Ok(Rotated::Renewed { found: Arc::new(found), key })
}

fn key_id(reader: &Reader<'_>) -> Result<KeyId, StoreError> {
    let column = "refresh_key";
    let stored: &[u8] = reader.get(column)?;
    KeyId::try_from(stored).map_err(|error| reader.malformed(column, error))
}

fn stored_key(reader: &Reader<'_>) -> Result<StoredKey, StoreError> {
    let number = reader.count("number")?;
    Ok(StoredKey {
        number: u32::try_from(number).map_err(|error| reader.malformed("number", error))?,
        sealed: reader.get("sealed")?,
        stored_at: reader.time("stored_at")?,
        signs_from: reader.time("signs_from")?,
    })
}
