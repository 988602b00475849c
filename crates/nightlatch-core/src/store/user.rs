//! The port to users and their credentials.
//!
//! Whatever takes a right away raises the user's credential generation, and tells the feed.

use super::StoreResult;
use crate::throttle::AddressPrefix;
use crate::username::LoginName;
use crate::{
    Actor, Deadline, Email, FoundSession, Generation, Groups, HashKind, NewSession, PasswordHash,
    Subject, Timestamp, User, UserId, Username, Written,
};

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

/// Users and their credentials. Who makes a change is told, and written to the audit log with it.
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
    fn create_user(
        &self,
        user: NewUser,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, CreateUser>;

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
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>>;

    /// Deletes a user and ends all sessions; `false`: no such user.
    fn delete_user(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>>;

    /// Replaces groups and tells copies to be read again. `None`: no such user.
    fn set_groups(
        &self,
        id: UserId,
        groups: Groups,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>>;

    /// Says that the e-mail is this person's. `None`: no such user, or no e-mail.
    fn verify_email(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>>;

    /// Changes the password, raises the generation, ends every session and creates the caller's
    /// next one, all or nothing. A disabled user stays disabled. `None`: there is no such user, it is
    /// somebody's mirror, or
    /// the generation that the change was verified at is not that of an enabled user any more.
    fn change_password(
        &self,
        change: PasswordChange,
        by: Actor,
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
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<ImportOutcome>>;

    /// The kinds of hashes that are stored, each once.
    fn list_hash_kinds(&self, deadline: Deadline) -> StoreResult<'_, Vec<HashKind>>;
}
