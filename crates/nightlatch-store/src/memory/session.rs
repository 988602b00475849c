//! Sessions of the reference record.
//!
//! Ended rows stay, marked as ended, until they are swept: nothing that is written late can bring
//! one back.

use std::sync::Arc;

use nightlatch_core::{
    Actor, AddressPrefix, AuditAction, Deadline, FeedKind, FoundSession, Generation, NewSession,
    Session, SessionEnd, SessionId, SessionStore, StoreResult, Timestamp, TokenHash, UserId,
    Username, Written,
};

use super::audit::About;
use super::token::RefreshRow;
use super::{MemoryRecord, SessionRow, State};

impl SessionStore for MemoryRecord {
    fn create_session(
        &self,
        session: NewSession,
        prefix: AddressPrefix,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<FoundSession>>> {
        self.run("creating a session", deadline, move |state| state.login(session, prefix, &by))
    }

    fn find_session(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<FoundSession>>> {
        self.run("finding a session", deadline, move |state| {
            state.found(*state.tokens.get(token.as_bytes())?).map(Arc::new)
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

    fn list_all_sessions(
        &self,
        below: Option<SessionId>,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<(Session, Username)>> {
        self.run("listing sessions", deadline, move |state| {
            let rows = state.sessions.values().rev();
            let page = rows
                .filter(|row| below.is_none_or(|below| row.session.id < below))
                .filter(|row| row.session.expires_at > now && state.lives(row));
            let owned = page.take(limit as usize).map(|row| {
                let owner = &state.users[&row.session.user_id].user;
                (row.session.clone(), owner.username.clone())
            });
            owned.collect()
        })
    }

    fn end_sessions(
        &self,
        which: SessionEnd,
        now: Timestamp,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<u64>> {
        self.run("ending sessions", deadline, move |state| state.end_by(which, now, &by))
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
    fn login(
        &mut self,
        new: NewSession,
        prefix: AddressPrefix,
        by: &Actor,
    ) -> Option<Written<FoundSession>> {
        let Session { id, user_id, created_at, .. } = new.session;
        let generation = new.generation;
        let user = &self.users.get(&user_id)?.user;
        if !user.enabled || user.generation != generation {
            return None;
        }
        let replaced = new.replaces.map(|token| {
            let action = AuditAction::SessionReplaced;
            self.end_as(action, SessionEnd::Token(token), created_at, by)
        });
        let seen_at = self.prefixes.entry((user_id, *prefix.as_bytes())).or_insert(created_at);
        *seen_at = created_at.max(*seen_at);
        self.insert_session(new, generation);
        self.audit(AuditAction::Login, About::session(user_id, id), by, created_at);
        let rows = replaced.map_or_else(Vec::new, |replaced| replaced.rows);
        Some(Written { value: self.found(id)?, rows })
    }

    /// Inserts a session whose generation was checked by the caller.
    pub(super) fn insert_session(&mut self, new: NewSession, generation: Generation) {
        let NewSession { session, token, refresh, .. } = new;
        let refresh = refresh.map(RefreshRow::first);
        self.tokens.insert(*token.as_bytes(), session.id);
        let id = session.id;
        self.sessions
            .insert(id, SessionRow { session, token, generation, ended_at: None, refresh });
    }

    pub(super) fn found(&self, id: SessionId) -> Option<FoundSession> {
        let row = self.sessions.get(&id).filter(|row| self.lives(row))?;
        let head = self.head();
        let user = self.users[&row.session.user_id].user.clone();
        Some(FoundSession::new(row.session.clone(), user, head.newest, head.history))
    }

    pub(super) fn end_by(&mut self, which: SessionEnd, at: Timestamp, by: &Actor) -> Written<u64> {
        self.end_as(which.action(), which, at, by)
    }

    /// Ends sessions, and writes to the audit log what that was.
    pub(super) fn end_as(
        &mut self,
        action: AuditAction,
        which: SessionEnd,
        at: Timestamp,
        by: &Actor,
    ) -> Written<u64> {
        let about = match which {
            SessionEnd::One(id) | SessionEnd::OneOf(_, id) => self.about(Some(id)),
            SessionEnd::Token(token) => self.about(self.tokens.get(token.as_bytes()).copied()),
            SessionEnd::OthersOf(user, _) | SessionEnd::AllOf(user) => {
                About { user: Some(user), ..About::default() }
            }
            SessionEnd::Everything => About::default(),
        };
        let ended = self.end(which, at);
        match which {
            SessionEnd::AllOf(_) if ended.rows.is_empty() => {}
            SessionEnd::AllOf(_) | SessionEnd::Everything => {
                self.audit(action, About { count: Some(ended.value), ..about }, by, at);
            }
            _ if ended.value == 0 => {}
            SessionEnd::OthersOf(..) => {
                self.audit(action, About { count: Some(ended.value), ..about }, by, at);
            }
            SessionEnd::One(_) | SessionEnd::Token(_) | SessionEnd::OneOf(..) => {
                self.audit(action, about, by, at);
            }
        }
        ended
    }

    fn about(&self, session: Option<SessionId>) -> About {
        let row = session.and_then(|id| self.sessions.get(&id));
        row.map_or_else(About::default, |row| About::session(row.session.user_id, row.session.id))
    }

    pub(super) fn end(&mut self, which: SessionEnd, at: Timestamp) -> Written<u64> {
        match which {
            SessionEnd::One(id) => {
                let ended = self.end_where(at, |session| session.id == id).len();
                Written { value: ended as u64, rows: vec![self.append(FeedKind::Session(id), at)] }
            }
            SessionEnd::Token(token) => {
                let id = self.tokens.get(token.as_bytes()).copied();
                self.end_and_tell(at, |session| Some(session.id) == id)
            }
            SessionEnd::OneOf(user, id) => {
                self.end_and_tell(at, |session| session.id == id && session.user_id == user)
            }
            SessionEnd::OthersOf(user, kept) => {
                self.end_and_tell(at, |session| session.user_id == user && session.id != kept)
            }
            SessionEnd::AllOf(user) => match self.raise_generation(user, FeedKind::UserBelow, at) {
                Some((ended, row)) => Written { value: ended as u64, rows: vec![row] },
                None => Written { value: 0, rows: Vec::new() },
            },
            SessionEnd::Everything => {
                let ended =
                    self.end_where(at, |_| true).len() + self.end_applications(at, |_| true).len();
                for row in self.users.values_mut() {
                    row.user.generation = Generation(row.user.generation.0 + 1);
                }
                Written { value: ended as u64, rows: vec![self.append(FeedKind::Everything, at)] }
            }
        }
    }

    /// Ends the sessions that `which` takes, with a feed row for each.
    pub(super) fn end_and_tell(
        &mut self,
        at: Timestamp,
        which: impl Fn(&Session) -> bool,
    ) -> Written<u64> {
        let ended = self.end_where(at, which);
        let rows = ended.iter().map(|id| self.append(FeedKind::Session(*id), at)).collect();
        Written { value: ended.len() as u64, rows }
    }
}
