//! The reference record: everything a record must do, over plain maps.
//!
//! It exists so that rules can be tested and simulated without a database, and so that the two
//! real records have something simple to be compared with. Nothing outlives it, so it is no record
//! for a server. Maps are ordered and chance is an argument: the same calls give the same answers.

mod audit;
mod data;
mod feed;
mod mirror;
mod node;
mod session;
mod snapshot;
mod token;
mod upkeep;
mod user;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use nightlatch_core::{
    AuditEntry, AuditId, Clock, Deadline, Entropy, Epoch, Failure, FailureClass, FailurePosition,
    FeedKind, FeedRow, Generation, History, NodeId, Outcome, PasswordHash, Position, Session,
    SessionId, StoreError, StoreErrorKind, StoreResult, StoredKey, Subject, Timestamp, TokenHash,
    User, UserId,
};
use tokio::sync::Notify;
use uuid::Uuid;

pub use self::snapshot::Snapshot;

use data::ApplicationRow;
use node::Nodes;
use token::RefreshRow;

/// A record in memory. Each call is one statement: all of it happens, at once, or nothing.
pub struct MemoryRecord {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    moved: Arc<Notify>,
}

impl MemoryRecord {
    /// An empty record whose own clock is the wall clock of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let state = State::new(clock.clone(), entropy);
        let moved = Arc::clone(&state.moved);
        Self { clock, state: Mutex::new(state), moved }
    }

    /// The rows of the feed that are still there, in order, for checkers.
    #[must_use]
    pub fn feed(&self) -> Vec<FeedRow> {
        self.state().feed.values().map(|stored| stored.row).collect()
    }

    /// Makes the heartbeats as if `shift` had said them, for tests that let time pass.
    pub fn shift_heartbeats(&self, shift: impl Fn(Timestamp) -> Timestamp) {
        self.state().nodes.shift(shift);
    }

    /// Runs one statement when it is polled, unless the deadline is over.
    fn run<'a, T: Send + 'a>(
        &'a self,
        doing: &'static str,
        deadline: Deadline,
        statement: impl FnOnce(&mut State) -> T + Send + 'a,
    ) -> StoreResult<'a, T> {
        Box::pin(async move {
            if deadline.is_over(&*self.clock) {
                return Err(StoreError::new(
                    StoreErrorKind::Deadline,
                    FailureClass::Timeout,
                    Outcome::NotApplied,
                    doing,
                ));
            }
            Ok(statement(&mut self.state()))
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no statement panics while it holds the lock")
    }
}

/// What the tables of a database would hold.
#[derive(Clone)]
struct State {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    history: History,
    /// Wakes who waits for news of the feed.
    moved: Arc<Notify>,
    feed: BTreeMap<Position, StoredRow>,
    pruned_to: Position,
    users: BTreeMap<UserId, UserRow>,
    /// Folded names.
    names: BTreeMap<String, UserId>,
    /// Folded addresses.
    emails: BTreeMap<String, UserId>,
    sessions: BTreeMap<SessionId, SessionRow>,
    tokens: BTreeMap<[u8; 32], SessionId>,
    /// By what is known of their token.
    applications: BTreeMap<[u8; 32], ApplicationRow>,
    /// When an account last logged in from a prefix.
    prefixes: BTreeMap<(UserId, [u8; 8]), Timestamp>,
    /// By time and place.
    failures: BTreeMap<(Timestamp, FailurePosition), (NodeId, Failure)>,
    failures_end: FailurePosition,
    nodes: Nodes,
    secrets: BTreeMap<String, Vec<u8>>,
    keys: BTreeMap<u32, StoredKey>,
    audit: BTreeMap<AuditId, AuditEntry>,
    audited_to: AuditId,
}

#[derive(Clone)]
struct StoredRow {
    row: FeedRow,
    written_at: Timestamp,
}

#[derive(Clone)]
struct UserRow {
    user: User,
    hash: Option<PasswordHash>,
    subject: Option<Subject>,
    /// When the service was last asked about this mirror.
    asked_at: Option<Timestamp>,
}

#[derive(Clone)]
struct SessionRow {
    session: Session,
    token: TokenHash,
    generation: Generation,
    ended_at: Option<Timestamp>,
    refresh: Option<RefreshRow>,
}

impl State {
    fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let history = History { record: fresh_uuid(&*entropy), epoch: Epoch(1) };
        let mut state = Self {
            clock,
            entropy,
            history,
            moved: Arc::default(),
            feed: BTreeMap::new(),
            pruned_to: Position(0),
            users: BTreeMap::new(),
            names: BTreeMap::new(),
            emails: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            applications: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            failures: BTreeMap::new(),
            failures_end: FailurePosition::default(),
            nodes: Nodes::default(),
            secrets: BTreeMap::new(),
            keys: BTreeMap::new(),
            audit: BTreeMap::new(),
            audited_to: AuditId::default(),
        };
        state.append(FeedKind::Start, state.now());
        state
    }

    /// The record's own clock.
    fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    /// Whether a read may give the session out, expiry aside.
    fn lives(&self, row: &SessionRow) -> bool {
        row.ended_at.is_none()
            && self
                .users
                .get(&row.session.user_id)
                .is_some_and(|owner| owner.user.enabled && owner.user.generation == row.generation)
    }

    /// Marks the sessions as ended that `which` takes; tells which did live.
    fn end_where(&mut self, at: Timestamp, which: impl Fn(&Session) -> bool) -> Vec<SessionId> {
        let ending: Vec<SessionId> = self
            .sessions
            .values()
            .filter(|row| self.lives(row) && which(&row.session))
            .map(|row| row.session.id)
            .collect();
        for id in &ending {
            let row = self.sessions.get_mut(id).expect("it was found above");
            row.ended_at = Some(at);
        }
        ending
    }
}

fn fresh_uuid(entropy: &dyn Entropy) -> Uuid {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests;
