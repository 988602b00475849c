//! Login: a right password becomes a session.
//!
//! The whole story is one function, because its order is what keeps it safe: count before hashing,
//! hash before deciding, and insert only at the generation that the password was verified at.

use std::time::Duration;

use thiserror::Error;

use super::login_guard::{Guess, RightPassword};
use super::record_budget::RecordBudget;
use super::{Policy, Service};
use crate::{
    Actor, AddressPrefix, AuthServiceError, Client, Credentials, Deadline, Device, Entropy,
    FoundSession, HashError, Limit, LoginName, NewSession, Password, PasswordHash, Refused,
    Session, SessionId, SessionToken, StoreError, Timestamp, TokenCheck, TokenHash, User, UserId,
};

/// What a login brings.
#[derive(Debug)]
pub struct LoginRequest {
    /// User name or e-mail, as typed.
    pub login: String,
    /// The password, as typed.
    pub password: Password,
    /// Whether the person wants to be remembered.
    pub remember: bool,
    /// Where it comes from.
    pub client: Client,
    /// The browser, if it has our cookie of an earlier login.
    pub device: Option<Device>,
    /// A session token that came with it: that session ends.
    pub earlier: Option<String>,
    /// The id of the request.
    pub request_id: String,
}

/// A login, of whichever kind.
pub(super) struct Attempt<'a> {
    pub(super) login: &'a str,
    pub(super) password: Password,
    pub(super) client: &'a Client,
    pub(super) device: Option<&'a Device>,
    pub(super) request_id: &'a str,
    /// The group that one has to be in.
    pub(super) group: Option<&'static str>,
}

impl Attempt<'_> {
    /// Who makes it, as the audit log tells.
    pub(super) fn actor(&self) -> Actor {
        Actor::user(self.client.address, self.request_id)
    }

    /// Lets in only those whom it is for. Asked when the password is known to be right.
    pub(super) fn admit(&self, user: &User) -> Result<(), LoginError> {
        let is_in = self.group.is_none_or(|group| user.groups.contains(group));
        if is_in { Ok(()) } else { Err(LoginError::NotInGroup) }
    }
}

/// What the record says to a right password, and the secret by which the client comes back.
pub(super) struct Opened<T> {
    pub(super) found: FoundSession,
    pub(super) secret: T,
    pub(super) upgrade: Option<HashUpgrade>,
}

/// What a login gives.
#[derive(Debug)]
pub struct LoggedIn {
    /// The session.
    pub session: Session,
    /// Its user.
    pub user: User,
    /// The secret for the cookie.
    pub token: SessionToken,
    /// The token against CSRF.
    pub csrf_token: String,
    /// The browser's cookie.
    pub device_cookie: String,
    /// A stored hash to be replaced behind the answer.
    pub upgrade: Option<HashUpgrade>,
}

/// A weaker hash to be replaced by today's, behind the answer of the login that proved the password.
#[derive(Debug)]
pub struct HashUpgrade {
    user: UserId,
    password: Password,
    old: PasswordHash,
}

/// Why there was no login.
#[derive(Debug, Error)]
pub enum LoginError {
    /// Name or password are wrong, or the account is disabled: one answer for all.
    #[error("name or password are wrong")]
    InvalidCredentials,
    /// The password is right, and its user in none of the groups that may log in here.
    #[error("the account is in none of the groups that may log in here")]
    NotInGroup,
    /// Too many have failed.
    #[error("too many failed tries")]
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
    /// The service that vouches for users gave no answer that a login could rest on.
    #[error(transparent)]
    AuthService(Box<AuthServiceError>),
    /// The record gave no answer.
    #[error(transparent)]
    Record(#[from] StoreError),
}

impl From<AuthServiceError> for LoginError {
    fn from(error: AuthServiceError) -> Self {
        Self::AuthService(Box::new(error))
    }
}

impl From<Refused> for LoginError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Throttled { limit, retry_after, .. } => Self::Throttled { limit, retry_after },
            Refused::Busy => Self::Busy { retry_after: BUSY_RETRY_AFTER },
        }
    }
}

impl From<HashError> for LoginError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy { retry_after } => Self::Busy { retry_after },
            HashError::Stopped => Self::Busy { retry_after: BUSY_RETRY_AFTER },
        }
    }
}

/// When to come back after waiting in vain for those before.
pub(super) const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// How often a login is tried whose credential generation moves under it: each round needs a
/// password change, a disabling or a "log out everywhere" in the same instant.
pub(super) const ROUNDS_MAX: u32 = 3;

impl Service {
    /// Logs in. Two round trips to the record, and as many more as the generation moved.
    ///
    /// # Errors
    /// [`LoginError`]; whoever shows [`LoginError::InvalidCredentials`] waits for
    /// [`Service::failed_login_delay`] first.
    pub async fn login(
        &self,
        request: LoginRequest,
        deadline: Deadline,
    ) -> Result<LoggedIn, LoginError> {
        let LoginRequest { login, password, remember, client, device, earlier, request_id } =
            request;
        let replaces = earlier.as_deref().and_then(|earlier| self.known_token(earlier));
        let attempt = Attempt {
            login: &login,
            password,
            client: &client,
            device: device.as_ref(),
            request_id: &request_id,
            group: None,
        };
        let age = self.session_age(remember);
        let open = |user: &User| {
            let (mut new, token) = self.new_session(user, client.clone(), age);
            new.replaces = replaces;
            let hash = new.token;
            (new, (token, hash))
        };
        let Opened { found, secret, upgrade } = self.log_in(attempt, open, deadline).await?;
        Ok(self.logged_in(device, (found.session, found.user), secret, upgrade))
    }

    /// The one way from a password to a session; `open` says which kind of session.
    pub(super) async fn log_in<T>(
        &self,
        attempt: Attempt<'_>,
        open: impl Fn(&User) -> (NewSession, T),
        deadline: Deadline,
    ) -> Result<Opened<T>, LoginError> {
        let name = LoginName::fold(attempt.login);
        let prefix = AddressPrefix::of(attempt.client.address);
        let by = attempt.actor();
        let mut budget = RecordBudget::of(deadline);
        let mut found = self.find_credentials(&name, prefix, &mut budget).await?;
        let guess = Guess { name: &name, prefix, device: attempt.device, by: &by };
        if let Some(service) = self.vouches_for(found.as_ref()) {
            return self.log_in_delegated(service, (attempt, found), (open, budget), guess).await;
        }
        for _ in 0..ROUNDS_MAX {
            let before = budget.before_next_call(self.clock());
            let right =
                self.guess_password(&guess, &attempt.password, found.as_ref(), before).await?;
            attempt.admit(&right.user)?;
            self.knows_login_time()?;
            let (new, secret) = open(&right.user);
            let by = by.clone();
            let create = |deadline| self.ports.record.create_session(new, prefix, by, deadline);
            if let Some(created) = budget.spend(self.clock(), create).await? {
                let old = found.and_then(|credentials| credentials.hash);
                return Ok(Opened {
                    found: created.value,
                    secret,
                    upgrade: upgrade_of(right, old),
                });
            }
            // The generation moved between read and insert: the password may be another one now.
            found = self.find_credentials(&name, prefix, &mut budget).await?;
        }
        Err(LoginError::Busy { retry_after: BUSY_RETRY_AFTER })
    }

    /// By a clock that is wrong a session could be over before it begins.
    pub(super) fn knows_login_time(&self) -> Result<(), LoginError> {
        let is_told = self.ports.clock.is_told();
        if is_told { Ok(()) } else { Err(LoginError::Busy { retry_after: BUSY_RETRY_AFTER }) }
    }

    /// How long to hold back the answer to a failed login that arrived at the boot time `arrived`:
    /// to the next multiple of what the dearest hash in the record costs, so that the moment of the
    /// answer tells nothing about the account.
    #[must_use]
    pub fn failed_login_delay(&self, arrived: Duration) -> Duration {
        let elapsed = self.clock().boottime().saturating_sub(arrived);
        until_next_multiple(elapsed, self.ports.hasher.failed_login_span())
    }

    /// Replaces a hash that an earlier system made by today's, if the password is still that one.
    ///
    /// # Errors
    /// Whatever kept it from being replaced; the next login tries again.
    pub async fn upgrade_hash(
        &self,
        upgrade: HashUpgrade,
        deadline: Deadline,
    ) -> Result<bool, LoginError> {
        let new = self.ports.hasher.hash(upgrade.password, deadline).await?;
        Ok(self.ports.record.upgrade_hash(upgrade.user, upgrade.old, new, deadline).await?)
    }

    async fn find_credentials(
        &self,
        name: &LoginName,
        prefix: AddressPrefix,
        budget: &mut RecordBudget,
    ) -> Result<Option<Credentials>, StoreError> {
        let record = &self.ports.record;
        let find = |deadline| record.find_credentials(name, prefix, self.now(), deadline);
        budget.spend(self.clock(), find).await
    }

    /// Evaluates one guess under the throttle.
    pub(super) async fn guess_password(
        &self,
        guess: &Guess<'_>,
        password: &Password,
        found: Option<&Credentials>,
        deadline: Deadline,
    ) -> Result<RightPassword, LoginError> {
        let wants = self.guess_limits(guess, found);
        let tried = Some(guess.tried(found));
        let ticket = self.ports.throttle.reserve(wants, tried, deadline).await?;
        match self.verify(password, found, deadline).await {
            Ok(Some(right)) => {
                ticket.give_back();
                Ok(right)
            }
            Ok(None) => {
                ticket.fail().await;
                Err(LoginError::InvalidCredentials)
            }
            Err(not_evaluated) => {
                ticket.give_back();
                Err(not_evaluated.into())
            }
        }
    }

    /// How long a session lasts, and whether it is one to be remembered.
    pub(super) fn session_age(&self, remember: bool) -> (Duration, bool) {
        let Policy { remember_age, session_age, .. } = self.policy;
        (if remember { remember_age } else { session_age }, remember)
    }

    pub(super) fn new_session(
        &self,
        user: &User,
        client: Client,
        age: (Duration, bool),
    ) -> (NewSession, SessionToken) {
        let now = self.now();
        let (token, hash) = self.keys.tokens.mint(self.entropy());
        let session = session_from(now, (user, client), age, self.entropy());
        let generation = user.generation;
        let new = NewSession { session, token: hash, generation, replaces: None, refresh: None };
        (new, token)
    }

    pub(super) fn known_token(&self, presented: &str) -> Option<TokenHash> {
        match self.keys.tokens.check(presented) {
            TokenCheck::Ours(hash) | TokenCheck::UnknownKey(hash) => Some(hash),
            TokenCheck::Forged => None,
        }
    }

    pub(super) fn logged_in(
        &self,
        device: Option<Device>,
        (session, user): (Session, User),
        (token, hash): (SessionToken, TokenHash),
        upgrade: Option<HashUpgrade>,
    ) -> LoggedIn {
        let mut device = device.unwrap_or_else(|| Device::fresh(self.entropy()));
        device.remember(user.id);
        LoggedIn {
            csrf_token: self.keys.csrf.for_session(hash),
            device_cookie: self.keys.devices.seal(&device),
            session,
            user,
            token,
            upgrade,
        }
    }
}

/// A session that begins now.
pub(super) fn session_from(
    now: Timestamp,
    (user, client): (&User, Client),
    (age, remember): (Duration, bool),
    chance: &dyn Entropy,
) -> Session {
    Session {
        id: SessionId::fresh(chance, now),
        user_id: user.id,
        created_at: now,
        last_seen_at: now,
        expires_at: now.after(age),
        remember,
        client,
    }
}

fn upgrade_of(right: RightPassword, old: Option<PasswordHash>) -> Option<HashUpgrade> {
    let old = old.filter(|_| right.needs_upgrade)?;
    Some(HashUpgrade { user: right.user.id, password: right.password, old })
}

fn until_next_multiple(elapsed: Duration, span: Duration) -> Duration {
    let span = span.as_micros().max(1);
    let past = elapsed.as_micros() % span;
    Duration::from_micros(u64::try_from(span - past).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_logins_are_answered_at_multiples_of_the_span() {
        let ms = Duration::from_millis;
        assert_eq!(until_next_multiple(ms(10), ms(50)), ms(40));
        assert_eq!(until_next_multiple(ms(60), ms(50)), ms(40));
        assert_eq!(until_next_multiple(ms(100), ms(50)), ms(50));
        assert_eq!(until_next_multiple(ms(7), Duration::ZERO), Duration::from_micros(1));
    }
}
