//! Refresh tokens and signing keys in SQLite.
//!
//! An exchange reads and writes under the writer's lock, so of two that come at once the second sees
//! what the first did.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, AuditAction, Exchange, HEARTBEAT_EVERY, KeyId, KnownRefresh, Rotated, Rotation,
    SessionId, StoredKey, Timestamp, TokenHash, Written,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::audit::About;
use super::feed::Change;
use super::node::micros;
use super::session::{self, Ending};

pub(super) fn rotate(
    change: &Change<'_>,
    rotation: &Rotation,
    by: &Actor,
) -> rusqlite::Result<Written<Rotated>> {
    let ended = Written { value: Rotated::Ended, rows: Vec::new() };
    let Some(known) = find_known(change.conn, rotation)? else { return Ok(ended) };
    let service_time = service_time(change)?;
    let key = match rotation.judge(&known, service_time, change.now) {
        Exchange::None => return Ok(ended),
        Exchange::Reuse => {
            let id = rotation.session;
            let of = Ending { by, action: AuditAction::RefreshTokenReused, at: rotation.now };
            let rows = of.each(change, "id = ?2", &[id.as_uuid().as_bytes()])?;
            return Ok(Written { value: Rotated::Reused, rows });
        }
        Exchange::Late => return Ok(Written { value: Rotated::Late, rows: Vec::new() }),
        Exchange::Again => known.key,
        Exchange::First => {
            exchange(change.conn, rotation, service_time)?;
            rotation.key
        }
    };
    let Some(found) = session::find_by_id(change.conn, rotation.session)? else { return Ok(ended) };
    Ok(Written { value: Rotated::Renewed { found: Arc::new(found), key }, rows: Vec::new() })
}

/// What is known of the refresh tokens of a session that can be refreshed.
fn find_known(conn: &Connection, rotation: &Rotation) -> rusqlite::Result<Option<KnownRefresh>> {
    let sql = "SELECT s.refresh_hash, s.refresh_previous, s.refresh_key, s.refresh_step,
                   s.refresh_exchanged_at, s.last_seen_at
               FROM sessions s
               JOIN users u ON u.id = s.user_id AND u.generation = s.generation AND u.enabled
               WHERE s.id = ?1 AND s.ended_at IS NULL AND s.refresh_hash IS NOT NULL
                   AND s.expires_at > ?2 AND s.refresh_expires_at > ?2
                   AND (?3 IS NULL OR s.last_seen_at > ?3)";
    conn.prepare_cached(sql)?
        .query_row(
            params![
                rotation.session.as_uuid().as_bytes(),
                rotation.now.as_micros(),
                rotation.idle_since.map(Timestamp::as_micros),
            ],
            |row| {
                Ok(KnownRefresh {
                    current: TokenHash::from_bytes(row.get(0)?),
                    previous: row.get::<_, Option<[u8; 32]>>(1)?.map(TokenHash::from_bytes),
                    key: row.get::<_, Option<KeyId>>(2)?.unwrap_or_default(),
                    step: row.get(3)?,
                    exchanged_at: span(row.get(4)?),
                    last_used_at: Timestamp::from_micros(row.get(5)?),
                })
            },
        )
        .optional()
}

fn exchange(
    conn: &Connection,
    rotation: &Rotation,
    service_time: Duration,
) -> rusqlite::Result<()> {
    let sql = "UPDATE sessions SET refresh_hash = ?2, refresh_previous = ?3, refresh_key = ?4,
                   refresh_step = ?5, refresh_exchanged_at = ?6, refresh_expires_at = ?7,
                   last_seen_at = max(last_seen_at, ?8)
               WHERE id = ?1";
    conn.prepare_cached(sql)?.execute(params![
        rotation.session.as_uuid().as_bytes(),
        rotation.successor.as_bytes(),
        rotation.presented.as_bytes(),
        rotation.key,
        rotation.step.saturating_add(1),
        micros(service_time),
        rotation.expires_at.as_micros(),
        rotation.now.as_micros(),
    ])?;
    Ok(())
}

/// Service time at this moment: it runs on from the last heartbeat, for one interval at most.
fn service_time(change: &Change<'_>) -> rusqlite::Result<Duration> {
    let sql = "SELECT service_time + min(max(?1 - coalesce(beat_at, ?1), 0), ?2)
               FROM service_clock";
    change
        .conn
        .prepare_cached(sql)?
        .query_row(params![change.now.as_micros(), micros(HEARTBEAT_EVERY)], |row| {
            row.get(0).map(span)
        })
}

/// Whether a token is the current one of a living session, or the one before.
pub(super) fn knows(
    conn: &Connection,
    session: SessionId,
    presented: TokenHash,
) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sessions
               WHERE id = ?1 AND ended_at IS NULL AND ?2 IN (refresh_hash, refresh_previous)";
    let ids = params![session.as_uuid().as_bytes(), presented.as_bytes()];
    conn.prepare_cached(sql)?.exists(ids)
}

pub(super) fn list_keys(conn: &Connection) -> rusqlite::Result<Vec<StoredKey>> {
    let sql = "SELECT number, sealed, stored_at, signs_from FROM signing_keys ORDER BY number";
    conn.prepare_cached(sql)?.query_map([], key)?.collect()
}

pub(super) fn add_key(change: &Change<'_>, key: &StoredKey, by: &Actor) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO signing_keys (number, sealed, stored_at, signs_from)
               VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    let added = change.conn.prepare_cached(sql)?.execute(params![
        key.number,
        key.sealed,
        key.stored_at.as_micros(),
        key.signs_from.as_micros(),
    ])?;
    if added == 1 {
        let key_name = format!("key {}", key.number);
        let about = About { detail: Some(&key_name), ..About::default() };
        change.audit(AuditAction::SigningKeyAdded, about, by, key.stored_at)?;
    }
    Ok(added == 1)
}

pub(super) fn reseal_key(
    change: &Change<'_>,
    number: u32,
    old: &[u8],
    new: &[u8],
) -> rusqlite::Result<()> {
    let sql = "UPDATE signing_keys SET sealed = ?3 WHERE number = ?1 AND sealed = ?2";
    change.conn.prepare_cached(sql)?.execute(params![number, old, new])?;
    Ok(())
}

fn key(row: &Row<'_>) -> rusqlite::Result<StoredKey> {
    Ok(StoredKey {
        number: row.get(0)?,
        sealed: row.get(1)?,
        stored_at: Timestamp::from_micros(row.get(2)?),
        signs_from: Timestamp::from_micros(row.get(3)?),
    })
}

fn span(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
