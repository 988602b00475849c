//! Revocations that the record has not confirmed yet.
//!
//! A logout whose commit failed or is unknown is not told as done, but this node refuses the session
//! from that moment on and tries until the record has it. If the node dies first, the session lives
//! on; the client was told that, and kept its cookie.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Service;
use crate::{Actor, Deadline, SessionEnd, SessionId, StoreError, TokenHash, UserId, Who};

/// The most revocations that wait. More would need that many logouts within one outage.
const WAITING_MAX: usize = 10_000;

/// The most that are tried in one call.
const BATCH_MAX: usize = 64;

/// Revocations that wait for the record.
#[derive(Debug, Default)]
pub(super) struct PendingEnds {
    waiting: Mutex<Waiting>,
    /// Whether any wait: every session check asks, and nearly always none do.
    any: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    tokens: BTreeMap<[u8; 32], Told>,
    /// A session of somebody: of anybody else it is none.
    sessions: BTreeMap<(SessionId, UserId), Told>,
}

/// By whom a node was told of a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// By who logged out: it tells the others.
    Here(Actor),
    /// By another node.
    Elsewhere,
}

impl Told {
    /// Whose logout it is; of another node it is only known that it was one.
    fn actor(&self) -> Actor {
        match self {
            Self::Here(by) => by.clone(),
            Self::Elsewhere => Actor { who: Who::User, ..Actor::node() },
        }
    }
}

impl PendingEnds {
    /// Refuses what a logout names from now on; `false` when too many wait.
    fn refuse(&self, end: SessionEnd, told: Told) -> bool {
        let mut waiting = self.lock();
        let room = waiting.has_room();
        if room {
            match end {
                SessionEnd::Token(token) => {
                    waiting.tokens.entry(*token.as_bytes()).or_insert(told);
                }
                SessionEnd::OneOf(user, session) => {
                    waiting.sessions.entry((session, user)).or_insert(told);
                }
                // Whoever ends these is told of the failure, and asks again.
                SessionEnd::One(_)
                | SessionEnd::OthersOf(..)
                | SessionEnd::AllOf(_)
                | SessionEnd::Everything => return false,
            }
            self.any.store(true, Ordering::SeqCst);
        }
        room
    }

    pub(super) fn refuses_token(&self, token: &TokenHash) -> bool {
        self.any() && self.lock().tokens.contains_key(token.as_bytes())
    }

    pub(super) fn refuses_session(&self, session: SessionId, user: UserId) -> bool {
        self.any() && self.lock().sessions.contains_key(&(session, user))
    }

    fn any(&self) -> bool {
        self.any.load(Ordering::SeqCst)
    }

    fn batch(&self) -> Vec<(SessionEnd, Told)> {
        let waiting = self.lock();
        let tokens = waiting
            .tokens
            .iter()
            .map(|(token, told)| (SessionEnd::Token(TokenHash::from_bytes(*token)), told.clone()));
        let sessions = waiting.sessions.iter();
        let sessions =
            sessions.map(|((id, user), told)| (SessionEnd::OneOf(*user, *id), told.clone()));
        tokens.chain(sessions).take(BATCH_MAX).collect()
    }

    fn done(&self, end: SessionEnd) {
        let mut waiting = self.lock();
        match end {
            SessionEnd::Token(token) => {
                waiting.tokens.remove(token.as_bytes());
            }
            SessionEnd::OneOf(user, id) => {
                waiting.sessions.remove(&(id, user));
            }
            SessionEnd::One(_)
            | SessionEnd::OthersOf(..)
            | SessionEnd::AllOf(_)
            | SessionEnd::Everything => {}
        }
        self.any.store(!waiting.is_empty(), Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.len() < WAITING_MAX
    }

    fn len(&self) -> usize {
        self.tokens.len() + self.sessions.len()
    }

    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.sessions.is_empty()
    }
}

impl Service {
    /// Revocations that wait for the record.
    #[must_use]
    pub fn pending_ends(&self) -> usize {
        self.pending.lock().len()
    }

    /// Refuses what a logout names until the record has it, here and on every node that hears of it;
    /// `false` when too many wait.
    pub(super) fn wait_for_record(&self, end: SessionEnd, by: Actor) -> bool {
        let waits = self.pending.refuse(end, Told::Here(by));
        if waits {
            self.ports.announcer.announce_pending(end);
        }
        waits
    }

    /// Another node has a logout waiting: it is refused here, too, and tried, since that node may be
    /// gone before the record is back. When too many wait here, it is left to that node.
    pub fn hear_pending(&self, end: SessionEnd) {
        self.pending.refuse(end, Told::Elsewhere);
    }

    /// Tries the revocations that wait for the record. The caller does this twice a second.
    ///
    /// # Errors
    /// The record's; what was not confirmed waits for the next call.
    pub async fn retry_pending(&self, deadline: Deadline) -> Result<(), StoreError> {
        let batch = self.pending.batch();
        for (end, told) in &batch {
            let by = told.actor();
            let ended = self.ports.record.end_sessions(*end, self.now(), by, deadline).await;
            if let Err(error) = ended {
                // Whoever did not hear of it, or has come meanwhile, does now.
                let told_here = batch.iter().filter(|(_, told)| matches!(told, Told::Here(_)));
                told_here.for_each(|(end, _)| self.ports.announcer.announce_pending(*end));
                return Err(error);
            }
            // Only now: a check between commit and this line must not find the session good.
            self.pending.done(*end);
        }
        Ok(())
    }
}
