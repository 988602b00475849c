//! Refresh tokens and signing keys of the reference record.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, AuditAction, Deadline, Exchange, KeyId, KnownRefresh, NewRefresh, Rotated, Rotation,
    SessionEnd, SessionId, StoreResult, StoredKey, Timestamp, TokenHash, TokenStore, Written,
};

use super::audit::About;
use super::{MemoryRecord, State};

/// The refresh tokens of a session.
#[derive(Clone, Copy)]
pub(super) struct RefreshRow {
    known: KnownRefresh,
    expires_at: Timestamp,
}

impl RefreshRow {
    pub(super) fn first(new: NewRefresh) -> Self {
        let known = KnownRefresh {
            current: new.token,
            previous: None,
            key: KeyId::default(),
            step: 0,
            exchanged_at: Duration::ZERO,
            last_used_at: Timestamp::EPOCH,
        };
        Self { known, expires_at: new.expires_at }
    }
}

impl TokenStore for MemoryRecord {
    fn rotate(
        &self,
        rotation: Rotation,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<Rotated>> {
        self.run("exchanging a refresh token", deadline, move |state| state.rotate(&rotation, &by))
    }

    fn knows_refresh(
        &self,
        session: SessionId,
        presented: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool> {
        self.run("asking for a refresh token", deadline, move |state| {
            let row = state.sessions.get(&session).filter(|row| state.lives(row));
            row.and_then(|row| row.refresh).is_some_and(|RefreshRow { known, .. }| {
                known.current == presented || known.previous == Some(presented)
            })
        })
    }

    fn list_keys(&self, deadline: Deadline) -> StoreResult<'_, Vec<StoredKey>> {
        self.run("listing signing keys", deadline, |state| state.keys.values().cloned().collect())
    }

    fn add_key(&self, key: StoredKey, by: Actor, deadline: Deadline) -> StoreResult<'_, bool> {
        self.run("storing a signing key", deadline, move |state| {
            let is_new = !state.keys.contains_key(&key.number);
            if is_new {
                let about =
                    About { detail: Some(format!("key {}", key.number)), ..About::default() };
                state.audit(AuditAction::SigningKeyAdded, about, &by, key.stored_at);
            }
            state.keys.entry(key.number).or_insert(key);
            is_new
        })
    }

    fn reseal_key(
        &self,
        number: u32,
        (old, new): (Vec<u8>, Vec<u8>),
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.run("sealing a signing key anew", deadline, move |state| {
            if let Some(key) = state.keys.get_mut(&number).filter(|key| key.sealed == old) {
                key.sealed = new;
            }
        })
    }
}

impl State {
    fn rotate(&mut self, rotation: &Rotation, by: &Actor) -> Written<Rotated> {
        let service_time = self.nodes.service_time(self.now());
        let Some(mut refresh) = self.refreshable(rotation) else { return ended() };
        let key = match rotation.judge(&refresh.known, service_time, self.now()) {
            Exchange::None => return ended(),
            Exchange::Reuse => {
                let end = SessionEnd::One(rotation.session);
                let action = AuditAction::RefreshTokenReused;
                let rows = self.end_as(action, end, rotation.now, by).rows;
                return Written { value: Rotated::Reused, rows };
            }
            Exchange::Late => return Written { value: Rotated::Late, rows: Vec::new() },
            Exchange::Again => refresh.known.key,
            Exchange::First => {
                refresh.known = KnownRefresh {
                    current: rotation.successor,
                    previous: Some(rotation.presented),
                    key: rotation.key,
                    step: rotation.step.saturating_add(1),
                    exchanged_at: service_time,
                    last_used_at: rotation.now,
                };
                refresh.expires_at = rotation.expires_at;
                rotation.key
            }
        };
        let row = self.sessions.get_mut(&rotation.session).expect("it was found above");
        row.refresh = Some(refresh);
        row.session.last_seen_at = row.session.last_seen_at.max(rotation.now);
        let Some(found) = self.found(rotation.session) else { return ended() };
        Written { value: Rotated::Renewed { found: Arc::new(found), key }, rows: Vec::new() }
    }

    /// What is known of the refresh tokens of a session that can be refreshed.
    fn refreshable(&self, rotation: &Rotation) -> Option<RefreshRow> {
        let row = self.sessions.get(&rotation.session).filter(|row| self.lives(row))?;
        let refresh = row.refresh?;
        let last_used_at = row.session.last_seen_at;
        let is_idle = rotation.idle_since.is_some_and(|since| row.session.last_seen_at <= since);
        let is_over = row.session.expires_at.min(refresh.expires_at) <= rotation.now;
        let known = KnownRefresh { last_used_at, ..refresh.known };
        (!is_idle && !is_over).then_some(RefreshRow { known, ..refresh })
    }
}

const fn ended() -> Written<Rotated> {
    Written { value: Rotated::Ended, rows: Vec::new() }
}
