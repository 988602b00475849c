//! The use cases, one a file. [`Service`] holds the ports and what a node remembers between
//! requests, and nothing else.
//!
//! A use case reads as a story: guard, guard, act, answer. It asks its ports one after the other
//! and starts no task of its own; what goes on behind an answer is handed back to the caller.

mod audit;
mod change_password;
mod check_bearer;
mod check_session;
mod delegated_login;
mod heartbeat;
mod issue_tokens;
mod last_seen;
mod list_sessions;
mod login;
mod login_guard;
mod logout;
mod manage_user;
mod operate;
mod pending;
mod record_budget;
mod refresh;
mod register;
mod revoke;
mod revoke_refresh;
mod standing;
mod unknown_key;
mod watch_session;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

pub use change_password::{ChangePasswordError, ChangePasswordRequest};
pub use check_session::{ActiveSession, CheckError};
pub use issue_tokens::{IssuedTokens, TokenPair, TokenRequest};
pub use list_sessions::{ListedSessions, SessionPage};
pub use login::{HashUpgrade, LoggedIn, LoginError, LoginRequest};
pub use logout::LogoutError;
pub use manage_user::{AddUser, AddUserError, SetPasswordError};
pub use refresh::Refreshed;
pub use register::{RegisterError, RegisterRequest};
pub use standing::{RecheckError, Rechecked};
pub use watch_session::WatchedSession;

use crate::service::last_seen::LastSeen;
use crate::service::pending::PendingEnds;
use crate::service::unknown_key::UnknownKeyBudget;
use crate::{
    AccessTokens, Announcer, AuthService, Clock, CounterKeys, CsrfTokens, DeviceCookies, Entropy,
    Limit, MasterKeys, NodeId, OperatorCookies, PasswordAssessor, PasswordHasher, Record,
    RecordClock, RefreshTokens, SealingKeys, SessionTokens, Throttle, Timestamp,
};

/// What the use cases ask of the outside.
pub struct Ports {
    /// The truth.
    pub record: Arc<dyn Record>,
    /// Hashes passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Vouches for users who have no password here, if logins are delegated.
    pub auth_service: Option<Arc<dyn AuthService>>,
    /// Judges new passwords.
    pub assessor: Arc<dyn PasswordAssessor>,
    /// Counts tries.
    pub throttle: Arc<dyn Throttle>,
    /// Tells the other nodes what waits for the record.
    pub announcer: Arc<dyn Announcer>,
    /// Writes access tokens and reads them.
    pub access_tokens: Arc<dyn AccessTokens>,
    /// Record time.
    pub clock: Arc<RecordClock>,
    /// Secret bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Who this node is to the others.
    pub node: NodeId,
}

/// The keys of the use cases.
pub struct Keys {
    /// Of session tokens.
    pub tokens: SessionTokens,
    /// Of refresh tokens.
    pub refresh: RefreshTokens,
    /// Of CSRF tokens.
    pub csrf: CsrfTokens,
    /// Of device cookies.
    pub devices: DeviceCookies,
    /// Of operators' cookies.
    pub operators: OperatorCookies,
    /// Of copies of sessions that are kept elsewhere.
    pub copies: SealingKeys,
    /// Of what nodes tell each other.
    pub news: SealingKeys,
    /// Of the keys by which access tokens are signed, as the record keeps them.
    pub signing: SealingKeys,
    /// Of counters that nodes keep together.
    pub counters: CounterKeys,
}

impl Keys {
    /// Derives every key from the session secrets, and those against CSRF from their own.
    #[must_use]
    pub fn derive(session: &MasterKeys, csrf: &MasterKeys) -> Self {
        Self {
            tokens: SessionTokens::new(session),
            refresh: RefreshTokens::new(session),
            csrf: CsrfTokens::new(csrf),
            devices: DeviceCookies::new(session),
            operators: OperatorCookies::new(session),
            copies: SealingKeys::derive(session, "copy"),
            news: SealingKeys::derive(session, "news"),
            signing: SealingKeys::derive(session, "signing-key"),
            counters: CounterKeys::new(session),
        }
    }
}

/// What operators decide.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Absolute timeout of a session.
    pub session_age: Duration,
    /// Absolute timeout of a session that is to be remembered.
    pub remember_age: Duration,
    /// Idle timeout, if any.
    pub idle_timeout: Option<Duration>,
    /// Life of an access token.
    pub access_age: Duration,
    /// Life of a refresh token, each time it is exchanged.
    pub refresh_age: Duration,
    /// For how long a client that lost the answer to an exchange gets it again.
    pub refresh_grace: Duration,
    /// Whether anybody may register.
    pub registration_open: bool,
    /// How long a node that does not reach the record serves copies.
    pub max_staleness: Duration,
    /// Limits; `None` when throttling is switched off.
    pub throttles: Option<ThrottleLimits>,
}

/// The limits of tries.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleLimits {
    /// Failed logins per account and address prefix, and per known browser.
    pub login: Limit,
    /// Failed logins per address prefix.
    pub address: Limit,
    /// Failed logins per account from unknown devices.
    pub account: Limit,
    /// Registrations per address prefix.
    pub register: Limit,
}

/// All use cases of a node.
pub struct Service {
    ports: Ports,
    keys: Keys,
    policy: Policy,
    pending: PendingEnds,
    last_seen: LastSeen,
    unknown_keys: UnknownKeyBudget,
    /// As the last heartbeat told it.
    live_nodes: AtomicU32,
}

impl Service {
    /// Joins ports, keys and policy.
    #[must_use]
    pub fn new(ports: Ports, keys: Keys, policy: Policy) -> Self {
        Self {
            ports,
            keys,
            policy,
            pending: PendingEnds::default(),
            last_seen: LastSeen::default(),
            unknown_keys: UnknownKeyBudget::default(),
            live_nodes: AtomicU32::new(1),
        }
    }

    /// The keys, for cookies and forms.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What operators decided.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// This machine's clocks.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.ports.clock.clock()
    }

    /// The source of secret bytes.
    #[must_use]
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.ports.entropy
    }

    /// Now, in record time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::IpAddr;

    use uuid::Uuid;

    use super::*;
    use crate::{
        AsOf, Client, Epoch, FoundSession, Generation, Groups, History, Position, Session,
        SessionId, User, UserId, Username,
    };

    /// A session of alice's, last seen at a time.
    pub(crate) fn found_session(last_seen_at: Timestamp) -> FoundSession {
        let user_id = UserId::from_uuid(Uuid::from_u128(1));
        let user = User {
            id: user_id,
            username: Username::try_existing("alice").unwrap(),
            email: None,
            email_verified: false,
            name: String::new(),
            groups: Groups::default(),
            generation: Generation(1),
            enabled: true,
            created_at: Timestamp::EPOCH,
        };
        let session = Session {
            id: SessionId::from_uuid(Uuid::from_u128(2)),
            user_id,
            created_at: Timestamp::EPOCH,
            last_seen_at,
            expires_at: Timestamp::EPOCH.after(Duration::from_hours(24)),
            remember: false,
            client: Client { address: IpAddr::from([127, 0, 0, 1]), user_agent: String::new() },
        };
        let history = History { record: Uuid::nil(), epoch: Epoch(1) };
        let as_of = AsOf { position: Position(1), row_id: 1 };
        FoundSession::new(session, user, as_of, history)
    }
}
