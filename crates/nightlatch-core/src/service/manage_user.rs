//! What operators do with users, from the command line and from their page.
//!
//! No throttle: who can run the command can read the record, and who uses the page has logged in. What ends sessions here ends them for
//! every server at that record.

use thiserror::Error;

use super::Service;
use super::register::context_words;
use crate::{
    Actor, AddressPrefix, CreateUser, Credentials, Deadline, DisplayName, Email, Groups, HashError,
    HashKind, ImportOutcome, ImportUser, LoginName, NewPassword, NewUser, Password, PasswordChange,
    PasswordHash, StoreError, User, UserId, Username, Weakness,
};

/// A user that an operator adds.
#[derive(Clone, Debug)]
pub struct AddUser {
    /// The name; reserved ones are allowed.
    pub username: Username,
    /// The e-mail, if any.
    pub email: Option<Email>,
    /// The name to show; may be empty.
    pub name: DisplayName,
    /// Groups.
    pub groups: Groups,
    /// The password; without one nobody can log in until it is set.
    pub password: Option<Password>,
}

/// Why a user was not added.
#[derive(Debug, Error)]
pub enum AddUserError {
    /// The folded name is somebody's.
    #[error("the user name is taken")]
    UsernameTaken,
    /// The folded e-mail is somebody's.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The password was not taken.
    #[error(transparent)]
    Password(#[from] SetPasswordError),
}

/// Why a password was not set.
#[derive(Debug, Error)]
pub enum SetPasswordError {
    /// It is too easily guessed.
    #[error("{}", .0.0)]
    Weak(Weakness),
    /// Another service keeps this user's password.
    #[error("the auth service keeps this user's password")]
    ManagedElsewhere,
    /// There is no such user.
    #[error("there is no such user")]
    NoUser,
    /// Hashing gave no answer.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The record gave no answer.
    #[error(transparent)]
    Record(#[from] StoreError),
}

impl Service {
    /// The user of a name or e-mail.
    ///
    /// # Errors
    /// The record's.
    pub async fn find_user(
        &self,
        name: &str,
        deadline: Deadline,
    ) -> Result<Option<User>, StoreError> {
        let found = self.credentials_of(name, deadline).await?;
        Ok(found.map(|credentials| credentials.user))
    }

    /// The same with the kind of hash that is stored, if a password is set.
    ///
    /// # Errors
    /// The record's.
    pub async fn find_user_and_hash_kind(
        &self,
        name: &str,
        deadline: Deadline,
    ) -> Result<Option<(User, Option<HashKind>)>, StoreError> {
        let found = self.credentials_of(name, deadline).await?;
        Ok(found.map(|Credentials { user, hash, .. }| (user, hash.map(|hash| hash.kind()))))
    }

    /// The user of an id.
    ///
    /// # Errors
    /// The record's.
    pub async fn user(&self, id: UserId, deadline: Deadline) -> Result<Option<User>, StoreError> {
        let found = self.credentials_of_id(id, deadline).await?;
        Ok(found.map(|credentials| credentials.user))
    }

    async fn credentials_of_id(
        &self,
        id: UserId,
        deadline: Deadline,
    ) -> Result<Option<Credentials>, StoreError> {
        let record = &self.ports.record;
        record.find_credentials_by_id(id, nowhere(), self.now(), deadline).await
    }

    async fn credentials_of(
        &self,
        name: &str,
        deadline: Deadline,
    ) -> Result<Option<Credentials>, StoreError> {
        let name = LoginName::fold(name);
        self.ports.record.find_credentials(&name, nowhere(), self.now(), deadline).await
    }

    /// Users by name, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// The record's.
    pub async fn list_users(
        &self,
        after: Option<&Username>,
        limit: u32,
        deadline: Deadline,
    ) -> Result<Vec<User>, StoreError> {
        let after = after.map(Username::folded);
        self.ports.record.list_users(after, limit, deadline).await
    }

    /// Users whose names begin like this, by name, at most `limit`; nobody whose name it is.
    ///
    /// # Errors
    /// The record's.
    pub async fn list_users_like(
        &self,
        beginning: &str,
        limit: u32,
        deadline: Deadline,
    ) -> Result<Vec<User>, StoreError> {
        // Nothing begins like what is no name.
        let Ok(beginning) = Username::try_existing(beginning) else { return Ok(Vec::new()) };
        let mut users = self.list_users(Some(&beginning), limit, deadline).await?;
        users.retain(|user| user.username.folded().starts_with(beginning.folded()));
        Ok(users)
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`AddUserError`].
    pub async fn add_user(
        &self,
        add: AddUser,
        by: Actor,
        deadline: Deadline,
    ) -> Result<User, AddUserError> {
        let name = add.name.into_string();
        let context = context_words(&add.username, add.email.as_ref(), &name);
        let hash = match add.password {
            Some(password) => Some(self.hash_new(password, context, deadline).await?),
            None => None,
        };
        let now = self.now();
        let user = NewUser {
            id: UserId::fresh(self.entropy(), now),
            username: add.username,
            email: add.email,
            email_verified: false,
            name,
            groups: add.groups,
            hash,
            subject: None,
            enabled: true,
            created_at: now,
        };
        let created = self.ports.record.create_user(user, by, deadline).await;
        match created.map_err(SetPasswordError::Record)? {
            CreateUser::Created(user) => Ok(user),
            CreateUser::UsernameTaken | CreateUser::SubjectTaken => {
                Err(AddUserError::UsernameTaken)
            }
            CreateUser::EmailTaken => Err(AddUserError::EmailTaken),
        }
    }

    /// Sets a user's password and ends all of the user's sessions. Who is disabled stays so: an
    /// account that was taken over gets its new password before it is opened again.
    ///
    /// # Errors
    /// [`SetPasswordError`].
    pub async fn set_password(
        &self,
        user: &User,
        password: Password,
        by: Actor,
        deadline: Deadline,
    ) -> Result<User, SetPasswordError> {
        let found = self.credentials_of_id(user.id, deadline).await?;
        if found.is_some_and(|credentials| credentials.subject.is_some()) {
            return Err(SetPasswordError::ManagedElsewhere);
        }
        let context = context_words(&user.username, user.email.as_ref(), &user.name);
        let hash = self.hash_new(password, context, deadline).await?;
        let change =
            PasswordChange { user_id: user.id, verified_at: None, hash, next_session: None };
        let changed = self.ports.record.change_password(change, by, deadline).await?;
        changed.map(|written| written.value.user).ok_or(SetPasswordError::NoUser)
    }

    /// Lets a disabled user log in again. `None`: there is no such user.
    ///
    /// # Errors
    /// The record's.
    pub async fn enable_user(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Option<User>, StoreError> {
        let changed = self.ports.record.set_enabled(id, true, by, deadline).await?;
        Ok(changed.map(|written| written.value))
    }

    /// Ends all sessions of a user and refuses new logins. `None`: there is no such user.
    ///
    /// # Errors
    /// The record's: nobody is told as disabled who may not be.
    pub async fn disable_user(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Option<User>, StoreError> {
        let changed = self.ports.record.set_enabled(id, false, by, deadline).await?;
        Ok(changed.map(|written| written.value))
    }

    /// Deletes a user and ends all of their sessions; `false`: there is no such user.
    ///
    /// # Errors
    /// The record's: nobody is told as deleted who may not be.
    pub async fn delete_user(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        Ok(self.ports.record.delete_user(id, by, deadline).await?.value)
    }

    /// Replaces a user's groups. `None`: there is no such user.
    ///
    /// # Errors
    /// The record's.
    pub async fn set_groups(
        &self,
        id: UserId,
        groups: Groups,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Option<User>, StoreError> {
        let changed = self.ports.record.set_groups(id, groups, by, deadline).await?;
        Ok(changed.map(|written| written.value))
    }

    /// Says that the e-mail is this person's. `None`: there is no such user, or no e-mail.
    ///
    /// # Errors
    /// The record's.
    pub async fn verify_email(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Option<User>, StoreError> {
        let changed = self.ports.record.verify_email(id, by, deadline).await?;
        Ok(changed.map(|written| written.value))
    }

    /// Creates those of a batch who are not there, all in one commit: after a failure the same
    /// batch can be given again. One outcome a user, in order.
    ///
    /// # Errors
    /// The record's.
    pub async fn import_users(
        &self,
        users: Vec<ImportUser>,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Vec<ImportOutcome>, StoreError> {
        self.ports.record.import_users(users, by, deadline).await
    }

    async fn hash_new(
        &self,
        password: Password,
        context: Vec<String>,
        deadline: Deadline,
    ) -> Result<PasswordHash, SetPasswordError> {
        let candidate = NewPassword { password: password.clone(), context };
        if let Some(weakness) = self.ports.assessor.assess(candidate, deadline).await? {
            return Err(SetPasswordError::Weak(weakness));
        }
        Ok(self.ports.hasher.hash(password, deadline).await?)
    }
}

/// No address logs in.
fn nowhere() -> AddressPrefix {
    AddressPrefix::of([0, 0, 0, 0].into())
}
