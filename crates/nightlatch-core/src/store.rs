//! The ports to the record, and what its answers may be.
//!
//! Every method takes the deadline of the request it serves, and every error says whether a write
//! may have happened all the same: "not applied" and "unknown" lead to different answers.

mod data;
mod error;
mod feed;
mod mirror;
mod token;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::throttle::AddressPrefix;
use crate::username::LoginName;
use crate::{
    AsOf, Deadline, Email, FailureClass, Generation, Groups, HashKind, History, LastUse,
    NewSession, NodeStore, PasswordHash, Session, SessionId, Subject, ThrottleStore, Timestamp,
    TokenHash, User, UserId, Username, Written,
};

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

/// A future that a port returns. Boxed, as ports are chosen when the server starts.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a port returns.
pub type StoreResult<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// What a login needs to know of a user, read in one statement.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user, whose generation belongs to `hash`.
    pub user: User,
    /// The stored hash; `None` for a user who cannot log in by password.
    pub hash: Option<PasswordHash>,
    /// Whose mirror the user is, if anybody's.
    pub subject: Option<Subject>,
    /// Whether this account logged in from the asked address prefix within 30 days.
    pub prefix_is_known: bool,
}

/// A user to be created.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// A free name, as the record will decide.
    pub username: Username,
    /// A free e-mail, if any.
    pub email: Option<Email>,
    /// Whether the e-mail is known to be this person's.
    pub email_verified: bool,
    /// The name to show.
    pub name: String,
    /// Groups.
    pub groups: Groups,
    /// The password hash, if the user may log in by password.
    pub hash: Option<PasswordHash>,
    /// Whose mirror the user is; then there is no hash.
    pub subject: Option<Subject>,
    /// Whether the user may log in.
    pub enabled: bool,
    /// Creation time.
    pub created_at: Timestamp,
}

/// What creating a user came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateUser {
    /// Created.
    Created(User),
    /// The folded name is somebody's.
    UsernameTaken,
    /// The folded e-mail is somebody's.
    EmailTaken,
    /// Somebody else is this subject's mirror.
    SubjectTaken,
}

/// A user from another system.
pub type ImportUser = NewUser;

/// What importing one user came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// Created.
    Created,
    /// A user of this name with the same e-mail is there already and was left alone.
    Present,
    /// The name is there with another e-mail; left alone.
    UsernameTaken,
    /// The e-mail is another user's; left alone.
    EmailTaken,
}

/// A changed password with the session that the caller goes on with.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// Whose.
    pub user_id: UserId,
    /// The generation that the old password was verified at; `None` for an operator's change, which
    /// does not ask whether the user may log in.
    pub verified_at: Option<Generation>,
    /// The new hash.
    pub hash: PasswordHash,
    /// The caller's next session. Its `generation` is ignored: it gets the raised one.
    pub next_session: Option<NewSession>,
}

/// What a password change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedPassword {
    /// The user, of the raised generation.
    pub user: User,
    /// The caller's next session, if one was asked for.
    pub next: Option<FoundSession>,
}

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
}

/// Users and their credentials.
pub trait UserStore: Send + Sync {
    /// The user of a folded login name with its credentials, whether enabled or not.
    fn find_credentials<'a>(
        &'a self,
        name: &'a LoginName,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'a, Option<Credentials>>;

    /// The same by id.
    fn find_credentials_by_id(
        &self,
        id: UserId,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Credentials>>;

    /// Creates a user if name and e-mail are free.
    fn create_user(&self, user: NewUser, deadline: Deadline) -> StoreResult<'_, CreateUser>;

    /// Users by folded name, those after `after`, at most `limit`.
    fn list_users<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<User>>;

    /// Enables or disables, and tells the feed; disabling raises the generation and ends all
    /// sessions. `None`: no such user.
    fn set_enabled(
        &self,
        id: UserId,
        enabled: bool,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>>;

    /// Deletes a user and ends all sessions; `false`: no such user.
    fn delete_user(&self, id: UserId, deadline: Deadline) -> StoreResult<'_, Written<bool>>;

    /// Replaces groups and tells copies to be read again. `None`: no such user.
    fn set_groups(
        &self,
        id: UserId,
        groups: Groups,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>>;

    /// Says that the e-mail is this person's. `None`: no such user, or no e-mail.
    fn verify_email(
        &self,
        id: UserId,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>>;

    /// Changes the password, raises the generation, ends every session and creates the caller's
    /// next one, all or nothing. A disabled user stays disabled. `None`: there is no such user, it is
    /// somebody's mirror, or
    /// the generation that the change was verified at is not that of an enabled user any more.
    fn change_password(
        &self,
        change: PasswordChange,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ChangedPassword>>>;

    /// Replaces a hash by a stronger one of the same password, if it still is the stored one.
    /// Ends nothing.
    fn upgrade_hash(
        &self,
        id: UserId,
        old: PasswordHash,
        new: PasswordHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool>;

    /// Creates those who are not there, in one commit. One outcome a user, in order.
    fn import_users(
        &self,
        users: Vec<ImportUser>,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<ImportOutcome>>;

    /// The kinds of hashes that are stored, each once.
    fn list_hash_kinds(&self, deadline: Deadline) -> StoreResult<'_, Vec<HashKind>>;
}

/// Sessions.
pub trait SessionStore: Send + Sync {
    /// Inserts a session if its user is enabled and still of its generation, and ends the one it
    /// replaces. Notes the address prefix as known. `None`: the generation moved or the user is
    /// disabled.
    fn create_session(
        &self,
        session: NewSession,
        prefix: AddressPrefix,
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

    /// Removes a small batch of what has ended before `before`, and failures before `before`.
    fn sweep(&self, before: Timestamp, limit: u32, deadline: Deadline) -> StoreResult<'_, Sweep>;

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
        + RecordStore
{
}

/// How long a prefix stays known to an account after a login from it.
pub const KNOWN_PREFIX_RETENTION: Duration = Duration::from_hours(30 * 24);
