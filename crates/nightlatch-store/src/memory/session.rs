//! Sessions of the reference record.
//!
//! Ended rows stay, marked as ended, until they are swept: nothing that is written late can bring
//! one back.

use nightlatch_core::{
    AddressPrefix, Deadline, FeedKind, FoundSession, Generation, NewSession, Session, SessionEnd,
    SessionId, SessionStore, StoreResult, Timestamp, TokenHash, UserId,
};

use super::{MemoryRecord, SessionRow, State};

impl SessionStore for MemoryRecord {
    fn create_session(
        &self,
        session: NewSession,
        prefix: AddressPrefix,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<FoundSession>> {
        self.run("creating a session", deadline, move |state| state.login(session, prefix))
    }

    fn find_session(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<FoundSession>> {
        self.run("finding a session", deadline, move |state| {
            state.found(*state.tokens.get(token.as_bytes())?)
        })
    }

    fn list_sessions(
        &self,
        user: UserId,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<Session>> {
        self.run("listing sessions", deadline, move |state| {
            let mut sessions: Vec<Session> = state
                .sessions
                .values()
                .filter(|row| row.session.user_id == user && row.session.expires_at > now)
                .filter(|row| state.lives(row))
                .map(|row| row.session.clone())
                .collect();
            sessions.sort_unstable_by_key(|session| (session.created_at, session.id));
            sessions.reverse();
            sessions.truncate(limit as usize);
            sessions
        })
    }

    fn end_sessions(
        &self,
        which: SessionEnd,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, u64> {
        self.run("ending sessions", deadline, move |state| state.end(which, now) as u64)
    }

    fn touch_sessions(
        &self,
        seen: Vec<(SessionId, Timestamp)>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.run("touching sessions", deadline, move |state| {
            for (id, at) in seen {
                let Some(row) = state.sessions.get_mut(&id) else { continue };
                if row.ended_at.is_none() && at < row.session.expires_at {
                    row.session.last_seen_at = row.session.last_seen_at.max(at);
                }
            }
        })
    }
}

impl State {
    fn login(&mut self, new: NewSession, prefix: AddressPrefix) -> Option<FoundSession> {
        let Session { id, user_id, created_at, .. } = new.session;
        let generation = new.generation;
        let user = &self.users.get(&user_id)?.user;
        if !user.enabled || user.generation != generation {
            return None;
        }
        if let Some(replaced) = new.replaces.and_then(|token| self.found_by(token)) {
            self.end(SessionEnd::One(replaced), created_at);
        }
        let seen_at = self.prefixes.entry((user_id, *prefix.as_bytes())).or_insert(created_at);
        *seen_at = created_at.max(*seen_at);
        self.insert_session(new, generation);
        self.found(id)
    }

    /// Inserts a session whose generation was checked by the caller.
    pub(super) fn insert_session(&mut self, new: NewSession, generation: Generation) {
        let NewSession { session, token, .. } = new;
        self.tokens.insert(*token.as_bytes(), session.id);
        self.sessions.insert(session.id, SessionRow { session, token, generation, ended_at: None });
    }

    fn found_by(&self, token: TokenHash) -> Option<SessionId> {
        self.tokens.get(token.as_bytes()).copied()
    }

    fn found(&self, id: SessionId) -> Option<FoundSession> {
        let row = self.sessions.get(&id).filter(|row| self.lives(row))?;
        let head = self.head();
        Some(FoundSession {
            session: row.session.clone(),
            user: self.users[&row.session.user_id].user.clone(),
            as_of: head.newest,
            epoch: head.epoch,
        })
    }

    fn end(&mut self, which: SessionEnd, at: Timestamp) -> usize {
        match which {
            SessionEnd::One(id) => {
                let ended = self.end_where(at, |session| session.id == id).len();
                self.append(FeedKind::Session(id), at);
                ended
            }
            SessionEnd::Token(token) => {
                self.found_by(token).map_or(0, |id| self.end(SessionEnd::One(id), at))
            }
            SessionEnd::OneOf(user, id) => {
                let owner = self.sessions.get(&id).map(|row| row.session.user_id);
                if owner == Some(user) { self.end(SessionEnd::One(id), at) } else { 0 }
            }
            SessionEnd::OthersOf(user, kept) => {
                let others = |session: &Session| session.user_id == user && session.id != kept;
                let ended = self.end_where(at, others);
                for id in &ended {
                    self.append(FeedKind::Session(*id), at);
                }
                ended.len()
            }
            SessionEnd::AllOf(user) => self.raise_generation(user, at).unwrap_or(0),
            SessionEnd::Everything => {
                let ended = self.end_where(at, |_| true).len();
                self.append(FeedKind::Everything, at);
                ended
            }
        }
    }
}
