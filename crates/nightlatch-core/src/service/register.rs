//! Registration: a new user with a password.

use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use super::Service;
use super::login::BUSY_RETRY_AFTER;
use super::record_budget::RecordBudget;
use crate::{
    Actor, AddressPrefix, CreateUser, Deadline, DisplayName, Email, Groups, HashError, Limit,
    NewPassword, NewUser, Password, Refused, StoreError, ThrottleKey, User, UserId, Username,
    Weakness,
};

/// What a registration brings, with fields that passed their own rules.
#[derive(Debug)]
pub struct RegisterRequest {
    /// The wanted name.
    pub username: Username,
    /// The e-mail, if given.
    pub email: Option<Email>,
    /// The name to show; may be empty.
    pub name: DisplayName,
    /// The wanted password.
    pub password: Password,
    /// Where it comes from.
    pub address: IpAddr,
    /// The id of the request.
    pub request_id: String,
}

/// Why there was no registration.
#[derive(Debug, Error)]
pub enum RegisterError {
    /// Nobody can register here.
    #[error("registration is closed")]
    Closed,
    /// The password is too easily guessed.
    #[error("the password is too easily guessed")]
    Weak(Weakness),
    /// The folded name is somebody's.
    #[error("the user name is taken")]
    UsernameTaken,
    /// The folded e-mail is somebody's.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// Too many registrations from here.
    #[error("too many registrations")]
    Throttled {
        /// The limit that is used up.
        limit: Limit,
        /// When there is room again.
        retry_after: Duration,
    },
    /// Hashing cannot be done within the deadline.
    #[error("too many logins at once")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The record gave no answer.
    #[error(transparent)]
    Record(#[from] StoreError),
}

impl From<HashError> for RegisterError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy { retry_after } => Self::Busy { retry_after },
            HashError::Stopped => Self::Busy { retry_after: BUSY_RETRY_AFTER },
        }
    }
}

impl From<Refused> for RegisterError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Throttled { limit, retry_after, .. } => Self::Throttled { limit, retry_after },
            Refused::Busy => Self::Busy { retry_after: BUSY_RETRY_AFTER },
        }
    }
}

impl Service {
    /// Registers. Whatever was evaluated counts under the throttle, also what succeeded.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register(
        &self,
        request: RegisterRequest,
        deadline: Deadline,
    ) -> Result<User, RegisterError> {
        if !self.policy.registration_open {
            return Err(RegisterError::Closed);
        }
        let prefix = AddressPrefix::of(request.address);
        let limit = self.policy.throttles.map(|limits| limits.register);
        let wants = limit.map(|limit| (ThrottleKey::register(prefix), limit));
        let before = RecordBudget::of(deadline).before_next_call(self.clock());
        let ticket = self.ports.throttle.reserve(wants.into_iter().collect(), None, before).await?;
        let created = self.create_user(request, deadline).await;
        match &created {
            Ok(_) | Err(RegisterError::UsernameTaken | RegisterError::EmailTaken) => {
                ticket.fail().await;
            }
            Err(
                RegisterError::Closed
                | RegisterError::Weak(_)
                | RegisterError::Throttled { .. }
                | RegisterError::Busy { .. }
                | RegisterError::Record(_),
            ) => ticket.give_back(),
        }
        created
    }

    async fn create_user(
        &self,
        request: RegisterRequest,
        deadline: Deadline,
    ) -> Result<User, RegisterError> {
        let by = Actor::user(request.address, &request.request_id);
        let mut budget = RecordBudget::of(deadline);
        let before = budget.before_next_call(self.clock());
        let name = request.name.into_string();
        let candidate = NewPassword {
            password: request.password.clone(),
            context: context_words(&request.username, request.email.as_ref(), &name),
        };
        if let Some(weakness) = self.ports.assessor.assess(candidate, before).await? {
            return Err(RegisterError::Weak(weakness));
        }
        let hash = self.ports.hasher.hash(request.password, before).await?;
        let now = self.now();
        let user = NewUser {
            id: UserId::fresh(self.entropy(), now),
            username: request.username,
            email: request.email,
            email_verified: false,
            name,
            groups: Groups::default(),
            hash: Some(hash),
            subject: None,
            enabled: true,
            created_at: now,
        };
        let create = |deadline| self.ports.record.create_user(user, by, deadline);
        match budget.spend(self.clock(), create).await? {
            CreateUser::Created(user) => Ok(user),
            CreateUser::UsernameTaken | CreateUser::SubjectTaken => {
                Err(RegisterError::UsernameTaken)
            }
            CreateUser::EmailTaken => Err(RegisterError::EmailTaken),
        }
    }
}

/// The words that make a password guessable for this person.
pub(super) fn context_words(username: &Username, email: Option<&Email>, name: &str) -> Vec<String> {
    let mut words = vec![username.as_str().to_owned()];
    words.extend(email.map(|email| email.as_str().to_owned()));
    words.extend(Some(name.to_owned()).filter(|name| !name.is_empty()));
    words
}
