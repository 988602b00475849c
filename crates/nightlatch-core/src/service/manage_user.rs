//! What operators do with users from the command line.
//!
//! No throttle: who can run the command can read the record.

use thiserror::Error;

use super::Service;
use super::register::context_words;
use crate::{
    AddressPrefix, CreateUser, Deadline, DisplayName, Email, Groups, HashError, LoginName,
    NewPassword, NewUser, Password, PasswordChange, StoreError, User, UserId, Username, Weakness,
};

/// A user that an operator adds.
#[derive(Debug)]
pub struct AddUser {
    /// The name; reserved ones are allowed.
    pub username: Username,
    /// The e-mail, if any.
    pub email: Option<Email>,
    /// The name to show; may be empty.
    pub name: DisplayName,
    /// Groups.
    pub groups: Groups,
    /// The password.
    pub password: Password,
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
    /// There is no such enabled user.
    #[error("there is no such enabled user")]
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
        let name = LoginName::fold(name);
        let nowhere = AddressPrefix::of([0, 0, 0, 0].into());
        let found =
            self.ports.record.find_credentials(&name, nowhere, self.now(), deadline).await?;
        Ok(found.map(|credentials| credentials.user))
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`AddUserError`].
    pub async fn add_user(&self, add: AddUser, deadline: Deadline) -> Result<User, AddUserError> {
        let name = add.name.into_string();
        let context = context_words(&add.username, add.email.as_ref(), &name);
        let hash = self.hash_new(add.password, context, deadline).await?;
        let now = self.now();
        let user = NewUser {
            id: UserId::fresh(self.entropy(), now),
            username: add.username,
            email: add.email,
            email_verified: false,
            name,
            groups: add.groups,
            hash: Some(hash),
            enabled: true,
            created_at: now,
        };
        let created = self.ports.record.create_user(user, deadline).await;
        match created.map_err(SetPasswordError::Record)? {
            CreateUser::Created(user) => Ok(user),
            CreateUser::UsernameTaken => Err(AddUserError::UsernameTaken),
            CreateUser::EmailTaken => Err(AddUserError::EmailTaken),
        }
    }

    /// Sets a user's password and ends all of the user's sessions.
    ///
    /// # Errors
    /// [`SetPasswordError`].
    pub async fn set_password(
        &self,
        user: &User,
        password: Password,
        deadline: Deadline,
    ) -> Result<User, SetPasswordError> {
        let context = context_words(&user.username, user.email.as_ref(), &user.name);
        let hash = self.hash_new(password, context, deadline).await?;
        let change =
            PasswordChange { user_id: user.id, verified_at: None, hash, next_session: None };
        let changed = self.ports.record.change_password(change, deadline).await?;
        changed.ok_or(SetPasswordError::NoUser)
    }

    async fn hash_new(
        &self,
        password: Password,
        context: Vec<String>,
        deadline: Deadline,
    ) -> Result<crate::PasswordHash, SetPasswordError> {
        let candidate = NewPassword { password: password.clone(), context };
        if let Some(weakness) = self.ports.assessor.assess(candidate, deadline).await? {
            return Err(SetPasswordError::Weak(weakness));
        }
        Ok(self.ports.hasher.hash(password, deadline).await?)
    }
}
