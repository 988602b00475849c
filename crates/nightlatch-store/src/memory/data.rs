//! Sessions of other applications in the reference record.

use std::sync::Arc;

use nightlatch_core::{
    ApplicationSession, DataStore, Deadline, FeedKind, NewApplicationSession, SaveData,
    SessionData, SessionId, StoreResult, Timestamp, TokenHash, Written,
};

use super::{MemoryRecord, State};

/// An application's session; one that has ended stays as ended, so that nothing brings it back.
#[derive(Clone)]
pub(super) struct ApplicationRow {
    id: SessionId,
    data: SessionData,
    expires_at: Timestamp,
    ended_at: Option<Timestamp>,
}

impl ApplicationRow {
    fn lives_at(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && self.expires_at > now
    }

    fn end(&mut self, now: Timestamp) {
        self.ended_at = Some(now);
        self.data = SessionData::default();
    }
}

impl DataStore for MemoryRecord {
    fn create_data(
        &self,
        new: NewApplicationSession,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<ApplicationSession>> {
        self.run("creating an application's session", deadline, move |state| {
            let token = *new.token.as_bytes();
            if state.applications.contains_key(&token) {
                return None;
            }
            let NewApplicationSession { id, data, expires_at, .. } = new;
            let row = ApplicationRow { id, data, expires_at, ended_at: None };
            state.applications.insert(token, row);
            state.application(&token, |row| row.ended_at.is_none())
        })
    }

    fn find_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<ApplicationSession>>> {
        self.run("finding an application's session", deadline, move |state| {
            state.application(token.as_bytes(), |row| row.lives_at(now)).map(Arc::new)
        })
    }

    fn save_data(
        &self,
        save: SaveData,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ApplicationSession>>> {
        self.run("saving an application's session", deadline, move |state| {
            let SaveData { token, data, now, expires_at } = save;
            let row = state.applications.get_mut(token.as_bytes());
            let row = row.filter(|row| row.lives_at(now))?;
            (row.data, row.expires_at) = (data, expires_at);
            let fed = FeedKind::RefetchSession(row.id);
            let rows = vec![state.append(fed, now)];
            let value = state.application(token.as_bytes(), |row| row.ended_at.is_none())?;
            Some(Written { value, rows })
        })
    }

    fn delete_data(
        &self,
        token: TokenHash,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>> {
        self.run("deleting an application's session", deadline, move |state| {
            let row = state.applications.get_mut(token.as_bytes());
            let Some(row) = row.filter(|row| row.ended_at.is_none()) else {
                return Written { value: false, rows: Vec::new() };
            };
            row.end(now);
            let fed = FeedKind::Session(row.id);
            Written { value: true, rows: vec![state.append(fed, now)] }
        })
    }
}

impl State {
    fn application(
        &self,
        token: &[u8; 32],
        wanted: impl Fn(&ApplicationRow) -> bool,
    ) -> Option<ApplicationSession> {
        let row = self.applications.get(token).filter(|row| wanted(row))?;
        let head = self.head();
        Some(ApplicationSession {
            id: row.id,
            data: row.data.clone(),
            expires_at: row.expires_at,
            as_of: head.newest,
            history: head.history,
        })
    }

    /// Ends those that `which` takes; who they were.
    pub(super) fn end_applications(
        &mut self,
        now: Timestamp,
        which: impl Fn(SessionId) -> bool,
    ) -> Vec<SessionId> {
        let living = self.applications.values_mut().filter(|row| row.ended_at.is_none());
        let mut ended = Vec::new();
        for row in living.filter(|row| which(row.id)) {
            row.end(now);
            ended.push(row.id);
        }
        ended
    }

    pub(super) fn sweep_applications(&mut self, before: Timestamp, limit: u32) -> u64 {
        let past = self
            .applications
            .iter()
            .filter(|(_, row)| row.ended_at.unwrap_or(row.expires_at).min(row.expires_at) < before);
        let past: Vec<_> = past.map(|(token, _)| *token).take(limit as usize).collect();
        for token in &past {
            self.applications.remove(token);
        }
        past.len() as u64
    }
}
