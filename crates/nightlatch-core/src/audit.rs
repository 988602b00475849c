//! The audit log: who did what to whose account, and from where.
//!
//! An entry is written with the change that it tells of, or not at all, so that neither can be had
//! without the other. What it holds is for operators: names, addresses and request ids, never a
//! secret, and nothing that somebody typed where a name was asked for (it may be a password).

use std::net::IpAddr;
use std::sync::Arc;

use crate::{SessionId, Timestamp, UserId, Username};

/// What an entry tells. The names are stored, and never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditAction {
    /// A session began.
    Login,
    /// A password was wrong, or a name nobody's; several of them when too many came at once.
    LoginFailed,
    /// A session ended by its user.
    Logout,
    /// A session ended by a login from the same browser.
    SessionReplaced,
    /// One session was ended from another one, or by an operator.
    SessionRevoked,
    /// Several sessions were: a user's, or everybody's.
    SessionsRevoked,
    /// A refresh token was used twice, and its session ended.
    RefreshTokenReused,
    /// A password changed, which ends all sessions of its user.
    PasswordChanged,
    /// A user was created: registered, added, imported or mirrored.
    UserCreated,
    /// A user may log in again.
    UserEnabled,
    /// A user may not log in any more.
    UserDisabled,
    /// A user is gone.
    UserDeleted,
    /// A user's groups changed.
    GroupsChanged,
    /// An e-mail address is known to be its user's.
    EmailVerified,
    /// A key to sign access tokens came.
    SigningKeyAdded,
}

impl AuditAction {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Login,
        Self::LoginFailed,
        Self::Logout,
        Self::SessionReplaced,
        Self::SessionRevoked,
        Self::SessionsRevoked,
        Self::RefreshTokenReused,
        Self::PasswordChanged,
        Self::UserCreated,
        Self::UserEnabled,
        Self::UserDisabled,
        Self::UserDeleted,
        Self::GroupsChanged,
        Self::EmailVerified,
        Self::SigningKeyAdded,
    ];

    /// Its stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::LoginFailed => "login-failed",
            Self::Logout => "logout",
            Self::SessionReplaced => "session-replaced",
            Self::SessionRevoked => "session-revoked",
            Self::SessionsRevoked => "sessions-revoked",
            Self::RefreshTokenReused => "refresh-token-reused",
            Self::PasswordChanged => "password-changed",
            Self::UserCreated => "user-created",
            Self::UserEnabled => "user-enabled",
            Self::UserDisabled => "user-disabled",
            Self::UserDeleted => "user-deleted",
            Self::GroupsChanged => "groups-changed",
            Self::EmailVerified => "email-verified",
            Self::SigningKeyAdded => "signing-key-added",
        }
    }

    /// From its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

/// Who does something, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub who: Who,
    /// From which address, if over the network.
    pub address: Option<IpAddr>,
    /// By which request, as the log has it.
    pub request_id: Option<Arc<str>>,
}

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The user of the account.
    User,
    /// An operator of this name, by the operators' page.
    Operator(Arc<str>),
    /// Somebody at the command line: the system's user.
    Command(Arc<str>),
    /// The service that vouches for the user.
    AuthService,
    /// A node, by itself.
    Node,
}

impl Who {
    /// Its stored kind, and its name, if it has one.
    #[must_use]
    pub fn as_stored(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::User => ("user", None),
            Self::Operator(name) => ("operator", Some(name)),
            Self::Command(name) => ("command", Some(name)),
            Self::AuthService => ("auth-service", None),
            Self::Node => ("node", None),
        }
    }

    /// From what is stored. A kind of a later release is a node's: its name is lost, the entry is not.
    #[must_use]
    pub fn from_stored(kind: &str, name: Option<&str>) -> Self {
        let name = || Arc::from(name.unwrap_or_default());
        match kind {
            "user" => Self::User,
            "operator" => Self::Operator(name()),
            "command" => Self::Command(name()),
            "auth-service" => Self::AuthService,
            _ => Self::Node,
        }
    }
}

impl Actor {
    /// The user of the account, by a request from an address.
    #[must_use]
    pub fn user(address: IpAddr, request_id: &str) -> Self {
        let request_id = Some(request_id).filter(|id| !id.is_empty()).map(Arc::from);
        Self { who: Who::User, address: Some(address), request_id }
    }

    /// The same request, but it is an operator of this name who makes it.
    #[must_use]
    pub fn as_operator(self, name: &Username) -> Self {
        Self { who: Who::Operator(name.as_str().into()), ..self }
    }

    /// The system's user of this name, at the command line.
    #[must_use]
    pub fn command(name: &str) -> Self {
        Self { who: Who::Command(name.into()), address: None, request_id: None }
    }

    /// The service that vouches for users, while nobody waits.
    #[must_use]
    pub const fn auth_service() -> Self {
        Self { who: Who::AuthService, address: None, request_id: None }
    }

    /// The same request, but it is the service that says so.
    #[must_use]
    pub fn by_auth_service(&self) -> Self {
        Self { who: Who::AuthService, ..self.clone() }
    }

    /// A node, by itself.
    #[must_use]
    pub const fn node() -> Self {
        Self { who: Who::Node, address: None, request_id: None }
    }
}

/// A failed try, to be written down with what throttles count of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTry {
    /// Of which account, if there is one.
    pub user: Option<(UserId, Username)>,
    /// Whose it is.
    pub by: Actor,
}

/// Failed tries of one moment, as an entry tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedFailure {
    /// When, in record time.
    pub at: Timestamp,
    /// What is known of it; of those that are only counted, that it was this node.
    pub tried: FailedTry,
    /// How many.
    pub count: u64,
}

/// A place in the audit log. Later entries have higher ones, but one may be seen before a lower one that
/// commits after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditId(pub i64);

/// An entry as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place.
    pub id: AuditId,
    /// When, in record time.
    pub at: Timestamp,
    /// What: an [`AuditAction`], or a later release's.
    pub action: String,
    /// Whose account.
    pub user: Option<UserId>,
    /// Its name at that time.
    pub username: Option<String>,
    /// Which session.
    pub session: Option<SessionId>,
    /// How many, where it is not one.
    pub count: Option<u64>,
    /// What else: the new groups.
    pub detail: Option<String>,
    /// Who did it.
    pub by: Actor,
}

/// Whose entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditedUser {
    /// Those of this account, by whatever name.
    Id(UserId),
    /// Those of accounts that had this name.
    Name(String),
}

/// Which entries, at most `limit`, and from which end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Whose, if not everybody's.
    pub user: Option<AuditedUser>,
    /// Of these actions; none: of all.
    pub actions: Vec<AuditAction>,
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
    /// Where to go on.
    pub page: AuditPage,
    /// Entries at most.
    pub limit: u32,
}

/// Where a page of entries begins, and which way it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditPage {
    /// From the newest down.
    #[default]
    Newest,
    /// Down from below this one.
    Below(AuditId),
    /// Up from above this one.
    Above(AuditId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_found_by_their_names_alone() {
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::from_name(action.as_str()), Some(action));
        }
        assert_eq!(AuditAction::from_name("Login"), None);
    }

    #[test]
    fn who_did_it_comes_back_as_it_was_stored() {
        let all = [
            Who::User,
            Who::Operator("olga".into()),
            Who::Command("root".into()),
            Who::AuthService,
            Who::Node,
        ];
        for who in all {
            let (kind, name) = who.as_stored();
            assert_eq!(Who::from_stored(kind, name), who);
        }
        assert_eq!(Who::from_stored("robot", None), Who::Node);
    }
}
