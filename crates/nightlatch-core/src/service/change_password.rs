//! Password change: every session of the user ends, the caller goes on with a new one.

use thiserror::Error;

use super::login::{LoggedIn, LoginError};
use super::login_guard::Guess;
use super::record_budget::RecordBudget;
use super::register::context_words;
use super::{ActiveSession, Service};
use crate::{
    Actor, AddressPrefix, Client, Deadline, Device, HashError, LoginName, NewPassword, Password,
    PasswordChange, StoreError, Weakness,
};

/// What a password change brings.
#[derive(Debug)]
pub struct ChangePasswordRequest {
    /// The session it comes with.
    pub active: ActiveSession,
    /// The password as it is.
    pub current: Password,
    /// The password as it is to be.
    pub new: Password,
    /// Where it comes from.
    pub client: Client,
    /// The browser, if it has our cookie.
    pub device: Option<Device>,
    /// The id of the request.
    pub request_id: String,
}

/// Why the password was not changed.
#[derive(Debug, Error)]
pub enum ChangePasswordError {
    /// The new password is too easily guessed.
    #[error("the password is too easily guessed")]
    Weak(Weakness),
    /// Another service keeps this user's password.
    #[error("the password is kept elsewhere")]
    ManagedElsewhere,
    /// The session ended meanwhile, by another change or a disabling.
    #[error("the session has ended")]
    NoSession,
    /// As for a login; [`LoginError::InvalidCredentials`] means the current password is wrong.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl From<HashError> for ChangePasswordError {
    fn from(error: HashError) -> Self {
        Self::Login(error.into())
    }
}

impl From<StoreError> for ChangePasswordError {
    fn from(error: StoreError) -> Self {
        Self::Login(error.into())
    }
}

impl Service {
    /// Changes the password, if the generation it was verified at still is the user's.
    ///
    /// # Errors
    /// [`ChangePasswordError`]. A wrong current password counts like a failed login.
    pub async fn change_password(
        &self,
        request: ChangePasswordRequest,
        deadline: Deadline,
    ) -> Result<LoggedIn, ChangePasswordError> {
        let prefix = AddressPrefix::of(request.client.address);
        let record = &self.ports.record;
        let user = request.active.user();
        let mut budget = RecordBudget::of(deadline);
        let find = |deadline| record.find_credentials_by_id(user.id, prefix, self.now(), deadline);
        let Some(found) = budget.spend(self.clock(), find).await? else {
            return Err(ChangePasswordError::NoSession);
        };
        if found.subject.is_some() {
            return Err(ChangePasswordError::ManagedElsewhere);
        }
        let name = LoginName::fold(user.username.as_str());
        let by = Actor::user(request.client.address, &request.request_id);
        let guess = Guess { name: &name, prefix, device: request.device.as_ref(), by: &by };
        let before = budget.before_next_call(self.clock());
        let right = self.guess_password(&guess, &request.current, Some(&found), before).await?;

        let context = context_words(&user.username, user.email.as_ref(), &user.name);
        let candidate = NewPassword { password: request.new.clone(), context };
        if let Some(weakness) = self.ports.assessor.assess(candidate, before).await? {
            return Err(ChangePasswordError::Weak(weakness));
        }
        let hash = self.ports.hasher.hash(request.new, before).await?;
        let remember = request.active.session().remember;
        let (next, token) =
            self.new_session(&right.user, request.client, self.session_age(remember));
        let (next_hash, session) = (next.token, next.session.clone());
        let change = PasswordChange {
            user_id: right.user.id,
            verified_at: Some(right.user.generation),
            hash,
            next_session: Some(next),
        };
        let change = |deadline| record.change_password(change, by, deadline);
        let Some(changed) = budget.spend(self.clock(), change).await? else {
            return Err(ChangePasswordError::NoSession);
        };
        let found = (session, changed.value.user);
        Ok(self.logged_in(request.device, found, (token, next_hash), None))
    }
}
