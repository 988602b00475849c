//! The ports to the record, and what its answers may be.
//!
//! Every method takes the deadline of the request it serves, and every error says whether a write
//! may have happened all the same: "not applied" and "unknown" lead to different answers.

mod audit;
mod data;
mod error;
mod feed;
mod mirror;
mod token;
mod user;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::throttle::AddressPrefix;
use crate::{
    Actor, AsOf, AuditAction, Deadline, FailureClass, History, LastUse, NewSession, NodeStore,
    Session, SessionId, ThrottleStore, Timestamp, TokenHash, User, UserId, Username, Written,
};

pub use audit::AuditStore;
pub use data::{
    ApplicationSession, DataStore, NewApplicationSession, SaveData, SessionData, SessionDataTooLong,
};
pub use error::{Outcome, StoreError, StoreErrorKind};
pub use feed::{FeedStore, LostRevocations, LostUser, RecordProbe};
pub use mirror::{
    MirrorFound, MirrorKeys, MirrorStore, MirrorUpdate, Mirrored, StandingNote, StandingPage,
    StandingQuery,
};
pub use token::{CLOCKS_APART, Exchange, KnownRefresh, Rotated, Rotation, StoredKey, TokenStore};
pub use user::{
    ChangedPassword, CreateUser, Credentials, ImportOutcome, ImportUser, NewUser, PasswordChange,
    UserStore,
};

/// A future that a port returns. Boxed, as ports are chosen when the server starts.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a port returns.
pub type StoreResult<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A session with all that a request or a copy of it needs, read in one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSession {
    /// The session: neither revoked nor of an older generation.
    pub session: Session,
    /// Its user: enabled, and of the session's generation.
    pub user: User,
    /// The newest feed row in the statement that read it.
    pub as_of: AsOf,
    /// Which record, and which history of it.
    pub history: History,
    /// When it was last used, as far as those who share this copy know.
    pub last_use: LastUse,
    /// Its CSRF token, once somebody has needed it.
    pub csrf_token: OnceLock<Box<str>>,
}

impl FoundSession {
    /// As it was read, in one statement.
    #[must_use]
    pub const fn new(session: Session, user: User, as_of: AsOf, history: History) -> Self {
        let last_use = LastUse::at(session.last_seen_at);
        Self { session, user, as_of, history, last_use, csrf_token: OnceLock::new() }
    }
}

/// Which sessions to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// This one. Its feed row is written even if the session is gone.
    One(SessionId),
    /// The session of this token, if there is one.
    Token(TokenHash),
    /// This one if it is this user's.
    OneOf(UserId, SessionId),
    /// All of a user but one.
    OthersOf(UserId, SessionId),
    /// All of a user: raises the credential generation.
    AllOf(UserId),
    /// Every session of the record, those of other applications among them: raises everybody's
    /// credential generation.
    Everything,
}

impl SessionEnd {
    /// What the audit log calls it.
    #[must_use]
    pub const fn action(self) -> AuditAction {
        match self {
            Self::Token(_) => AuditAction::Logout,
            Self::One(_) | Self::OneOf(..) => AuditAction::SessionRevoked,
            Self::OthersOf(..) | Self::AllOf(_) | Self::Everything => AuditAction::SessionsRevoked,
        }
    }
}

/// Why requests cannot be served though the record answers: a page is damaged, a table locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookupFailures {
    /// Why nobody's session can be looked up, as far as known.
    pub sessions: Option<FailureClass>,
    /// Why nobody who logs in can be looked up, as far as known.
    pub credentials: Option<FailureClass>,
    /// Why some look-up failed just now, whatever became of others.
    pub some: Option<FailureClass>,
}

/// What is old enough to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepBefore {
    /// Sessions that ended, feed rows and failures before this.
    pub ended: Timestamp,
    /// Entries of the audit log before this.
    pub audited: Timestamp,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Ended sessions past the retention.
    pub sessions: u64,
    /// The same of other applications.
    pub application_sessions: u64,
    /// Feed rows past the retention; never the newest.
    pub feed_rows: u64,
    /// Failures and known prefixes that count no longer.
    pub throttle_rows: u64,
    /// Entries of the audit log.
    pub audit_rows: u64,
}

impl Sweep {
    /// Whether it removed so many rows of some kind.
    #[must_use]
    pub const fn has_any(&self, limit: u32) -> bool {
        let limit = limit as u64;
        self.sessions >= limit
            || self.application_sessions >= limit
            || self.feed_rows >= limit
            || self.throttle_rows >= limit
            || self.audit_rows >= limit
    }
}

/// Sessions. Who makes a change is told, and written to the audit log with it.
pub trait SessionStore: Send + Sync {
    /// Inserts a session if its user is enabled and still of its generation, and ends the one it
    /// replaces. Notes the address prefix as known. `None`: the generation moved or the user is
    /// disabled.
    fn create_session(
        &self,
        session: NewSession,
        prefix: AddressPrefix,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<FoundSession>>>;

    /// The session of a token, if it has not been ended and its user is enabled and of its
    /// generation. Expiry is the caller's to judge. Shared, as a copy may be held on to.
    fn find_session(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<FoundSession>>>;

    /// The same from the record itself, never from a copy.
    fn reread_session(
        &self,
        token: TokenHash,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Arc<FoundSession>>> {
        self.find_session(token, deadline)
    }

    /// A user's sessions that have not ended, newest first, at most `limit`.
    fn list_sessions(
        &self,
        user: UserId,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<Session>>;

    /// Sessions of all users that have not ended, by falling id, those below `below`, at most
    /// `limit`, each with its user's name. Ids begin with their time, so the newest come first.
    fn list_all_sessions(
        &self,
        below: Option<SessionId>,
        now: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<(Session, Username)>>;

    /// Ends sessions and writes the feed, durably. How many ended; zero if none was left.
    fn end_sessions(
        &self,
        which: SessionEnd,
        now: Timestamp,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<u64>>;

    /// Notes when sessions were last used. Never touches an ended or expired one.
    fn touch_sessions(
        &self,
        seen: Vec<(SessionId, Timestamp)>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()>;
}

/// The record as such.
pub trait RecordStore: Send + Sync {
    /// Brings the schema up to this release, expand-only. Safe when several nodes do it at once.
    /// The names of the migrations that were applied.
    fn migrate(&self, deadline: Deadline) -> StoreResult<'_, Vec<String>>;

    /// Whether requests can be served, as far as those that came have told; asks again what failed.
    fn probe_lookups(&self, deadline: Deadline) -> BoxFuture<'_, LookupFailures>;

    /// Removes a small batch of what is older than it is kept: at most `limit` rows of each kind.
    fn sweep(&self, before: SweepBefore, limit: u32, deadline: Deadline) -> StoreResult<'_, Sweep>;

    /// The value under `name`, storing `fresh` first if there is none: one value for all nodes.
    fn shared_secret<'a>(
        &'a self,
        name: &'a str,
        fresh: Vec<u8>,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<u8>>;
}

/// Everything that a record is.
pub trait Record:
    UserStore
    + MirrorStore
    + SessionStore
    + TokenStore
    + DataStore
    + FeedStore
    + ThrottleStore
    + NodeStore
    + AuditStore
    + RecordStore
{
}

impl<T> Record for T where
    T: UserStore
        + MirrorStore
        + SessionStore
        + TokenStore
        + DataStore
        + FeedStore
        + ThrottleStore
        + NodeStore
        + AuditStore
        + RecordStore
{
}

/// How long a prefix stays known to an account after a login from it.
pub const KNOWN_PREFIX_RETENTION: Duration = Duration::from_hours(30 * 24);
