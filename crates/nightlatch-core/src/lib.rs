//! The rules of Nightlatch, without I/O.
//!
//! A login and session service has to keep its promises while everything beneath it fails. The
//! promises live here, where no driver, no socket and no runtime can be named: domain types that
//! cannot be written wrong, the ports through which the rules ask the outside, and one file per
//! use case in [`service`]. Time and chance are arguments ([`Clock`], [`Entropy`]).
//!
//! "No" and "don't know" are different types throughout: `Ok(None)` is said only when the record
//! answered, [`StoreError`] when it did not.
//!
//! ```
//! use nightlatch_core::LoginName;
//!
//! // Login names are folded before anything is looked up or counted (RFC 8265).
//! assert_eq!(LoginName::fold("  Alice "), LoginName::fold("alice"));
//! ```

mod access_token;
mod announcer;
mod audit;
mod auth_service;
mod clock;
pub mod coherence;
mod counters;
mod csrf;
mod device;
mod email;
mod entropy;
mod failure;
mod feed;
mod key;
mod node;
mod operator;
mod password;
mod refresh_token;
mod secret;
pub mod service;
mod session;
mod session_token;
mod store;
mod subject;
#[cfg(feature = "system")]
mod system;
mod throttle;
mod throttle_store;
mod user;
mod username;

pub use access_token::{ACCESS_LEEWAY, AccessCheck, AccessClaims, AccessTokens, NoSigningKey};
pub use announcer::Announcer;
pub use audit::{
    Actor, AuditAction, AuditEntry, AuditId, AuditPage, AuditQuery, AuditedFailure, AuditedUser,
    FailedTry, Who,
};
pub use auth_service::{
    AuthService, AuthServiceError, AuthServiceFailure, HandedOn, Person, Standing, Vouched,
};
pub use clock::{Clock, Deadline, RecordClock, Rfc3339, Timestamp};
pub use counters::Counters;
pub use csrf::{CsrfTokens, PreSession};
pub use device::{Device, DeviceCookies};
pub use email::{Email, EmailError};
pub use entropy::Entropy;
pub use failure::FailureClass;
pub use feed::{
    AsOf, Epoch, FEED_RETENTION, FeedKind, FeedNews, FeedRow, Head, History, Position, Written,
};
pub use key::{KeyError, KeyId, MacKeys, MasterKeys, SealingKey, SealingKeys};
pub use node::{
    Cluster, HEARTBEAT_EVERY, NODE_LIFE, NODE_RETENTION, NODE_SWEEP_MAX, NodeId, NodeStore,
};
pub use operator::{OPERATORS, OperatorCookies};
pub use password::{
    HashError, HashKind, NewPassword, Password, PasswordAssessor, PasswordError, PasswordHash,
    PasswordHasher, Verified, Weakness,
};
pub use refresh_token::{RefreshCheck, RefreshToken, RefreshTokens};
pub use secret::Secret;
pub use service::{Keys, Policy, Ports, Service};
pub use session::{Client, LastUse, NewRefresh, NewSession, Session, SessionId, SessionVerdict};
pub use session_token::{SessionToken, SessionTokens, TokenCheck, TokenHash};
pub use store::{
    ApplicationSession, AuditStore, BoxFuture, CLOCKS_APART, ChangedPassword, CreateUser,
    Credentials, DataStore, Exchange, FeedStore, FoundSession, ImportOutcome, ImportUser,
    KNOWN_PREFIX_RETENTION, KnownRefresh, LookupFailures, LostRevocations, LostUser, MirrorFound,
    MirrorKeys, MirrorStore, MirrorUpdate, Mirrored, NewApplicationSession, NewUser, Outcome,
    PasswordChange, Record, RecordProbe, RecordStore, Rotated, Rotation, SaveData, SessionData,
    SessionDataTooLong, SessionEnd, SessionStore, StandingNote, StandingPage, StandingQuery,
    StoreError, StoreErrorKind, StoreResult, StoredKey, Sweep, SweepBefore, TokenStore, UserStore,
};
pub use subject::{Subject, SubjectError};
#[cfg(feature = "system")]
pub use system::{SystemClock, SystemEntropy};
pub use throttle::{
    AddressPrefix, Allowance, CounterKeys, Decision, ENTRY_TAG_BYTES, Failure, Limit, LimitError,
    Refused, SlidingWindows, Throttle, ThrottleKey, ThrottleScope, Ticket,
};
pub use throttle_store::{FailureNews, FailurePosition, KeptFailures, ThrottleStore};
pub use user::{DisplayName, DisplayNameError, Generation, Groups, GroupsError, User, UserId};
pub use username::{LoginName, Username, UsernameError};
