//! Those who ask a node for something, and what they make of its answers.
//!
//! The promises are to people, so what is recorded is what a person would have seen: a status, not a
//! value of the inside.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::service::{
    ActiveSession, ChangePasswordError, ChangePasswordRequest, CheckError, LoggedIn, LoginError,
    LoginRequest, LogoutError,
};
use nightlatch_core::{Deadline, Groups, Password, Service, StoreError, UserId};

use crate::history::{Action, Given, GivenSession, OpId, Outcome, PasswordNo, Person, Recorder};

/// The deadlines of the server's requests.
pub(crate) const CHECK_DEADLINE: Duration = Duration::from_millis(400);
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(2);
pub(crate) const LOGIN_DEADLINE: Duration = Duration::from_secs(5);

/// Somebody with one request.
pub(crate) struct Client {
    service: Arc<Service>,
    recorder: Arc<Recorder>,
    op: OpId,
}

/// Why a step of an operation is its end.
type Ends = Outcome;

impl Client {
    pub(crate) const fn new(service: Arc<Service>, recorder: Arc<Recorder>, op: OpId) -> Self {
        Self { service, recorder, op }
    }

    pub(crate) async fn perform(&self, action: Action) -> Outcome {
        let performed = match action {
            Action::Login { person, password, earlier } => {
                self.login(person, password, earlier).await
            }
            Action::Check { session } => self.check(session).await,
            Action::Logout { session } => self.logout(session).await,
            Action::Revoke { session } => self.revoke(session).await,
            Action::RevokeOthers { kept } => self.revoke_others(kept).await,
            Action::ChangePassword { session, old, new } => {
                self.change_password(session, old, new).await
            }
            Action::RevokeAll { person } => {
                done(self.service.revoke_all_of(self.user(person), self.request()).await)
            }
            Action::RevokeEverything => done(self.service.revoke_everything(self.request()).await),
            Action::Disable { person } => {
                done(self.service.disable_user(self.user(person), self.request()).await)
            }
            Action::Enable { person } => {
                done(self.service.enable_user(self.user(person), self.request()).await)
            }
            Action::SetGroup { person, group } => {
                let (user, groups) = (self.user(person), group_named(group));
                done(self.service.set_groups(user, groups, self.request()).await)
            }
        };
        performed.unwrap_or_else(|ends| ends)
    }

    async fn login(
        &self,
        person: Person,
        password: PasswordNo,
        earlier: Option<Given>,
    ) -> Result<Outcome, Ends> {
        let request = LoginRequest {
            login: name_of(person),
            password: typed(person, password),
            remember: false,
            client: somewhere(),
            device: None,
            earlier: earlier.map(|earlier| self.session(earlier).token),
        };
        match self.service.login(request, self.within(LOGIN_DEADLINE)).await {
            Ok(logged_in) => Ok(Outcome::LoggedIn(self.keep(person, &logged_in))),
            Err(error) => Err(login_error(&error)),
        }
    }

    async fn check(&self, given: Given) -> Result<Outcome, Ends> {
        let active = self.authenticate(given, self.within(CHECK_DEADLINE)).await?;
        Ok(Outcome::Accepted { group: group_of(&active) })
    }

    async fn logout(&self, given: Given) -> Result<Outcome, Ends> {
        let token = self.service.token_hash(&self.session(given).token);
        let token = token.expect("it was given out under these keys");
        ended(&self.service.logout(token, self.request()).await)
    }

    async fn revoke(&self, given: Given) -> Result<Outcome, Ends> {
        let session = self.session(given);
        let user = self.user(session.person);
        ended(&self.service.revoke_session(user, session.id, self.request()).await)
    }

    async fn revoke_others(&self, kept: Given) -> Result<Outcome, Ends> {
        let deadline = self.request();
        let active = self.authenticate(kept, deadline).await?;
        let (user, current) = (active.user().id, active.session().id);
        done(self.service.revoke_others(user, current, deadline).await)
    }

    async fn change_password(
        &self,
        given: Given,
        old: PasswordNo,
        new: PasswordNo,
    ) -> Result<Outcome, Ends> {
        let person = self.session(given).person;
        let deadline = self.within(LOGIN_DEADLINE);
        let active = self.authenticate(given, deadline).await?;
        let request = ChangePasswordRequest {
            active,
            current: typed(person, old),
            new: typed(person, new),
            client: somewhere(),
            device: None,
        };
        match self.service.change_password(request, deadline).await {
            Ok(logged_in) => Ok(Outcome::LoggedIn(self.keep(person, &logged_in))),
            Err(ChangePasswordError::NoSession) => Err(Outcome::Refused),
            Err(ChangePasswordError::Weak(_)) => Err(Outcome::Denied),
            Err(ChangePasswordError::Login(error)) => Err(login_error(&error)),
        }
    }

    /// What every request by cookie begins with.
    async fn authenticate(&self, given: Given, deadline: Deadline) -> Result<ActiveSession, Ends> {
        let expected = self.session(given);
        match self.service.check_session(&expected.token, deadline).await {
            Ok(Some(active)) => {
                let user = self.user(expected.person);
                let is_right = active.session().id == expected.id && active.user().id == user;
                if is_right { Ok(active) } else { Err(Outcome::SomebodyElses) }
            }
            Ok(None) => Err(Outcome::Refused),
            Err(CheckError::Overloaded { .. } | CheckError::UnknownKey | CheckError::Record(_)) => {
                Err(Outcome::Unavailable)
            }
        }
    }

    fn keep(&self, person: Person, logged_in: &LoggedIn) -> Given {
        self.recorder.gives(GivenSession {
            id: logged_in.session.id,
            person,
            token: logged_in.token.expose().to_owned(),
            expires_at: logged_in.session.expires_at,
            born: self.op,
        })
    }

    fn session(&self, given: Given) -> GivenSession {
        self.recorder.history().sessions[given.0].clone()
    }

    fn user(&self, person: Person) -> UserId {
        self.recorder.history().people[person.0]
    }

    fn request(&self) -> Deadline {
        self.within(REQUEST_DEADLINE)
    }

    fn within(&self, span: Duration) -> Deadline {
        Deadline::within(self.service.clock(), span)
    }
}

fn done<T>(answer: Result<T, StoreError>) -> Result<Outcome, Ends> {
    answer.map(|_| Outcome::Done).map_err(|_| Outcome::Unavailable)
}

fn ended<T>(answer: &Result<T, LogoutError>) -> Result<Outcome, Ends> {
    match answer {
        Ok(_) => Ok(Outcome::Done),
        Err(LogoutError::NoSession) => Err(Outcome::Refused),
        Err(LogoutError::Pending(_)) => Err(Outcome::Pending),
        Err(LogoutError::Record(_)) => Err(Outcome::Unavailable),
    }
}

fn login_error(error: &LoginError) -> Outcome {
    match error {
        LoginError::InvalidCredentials => Outcome::Denied,
        LoginError::Throttled { .. } | LoginError::Busy { .. } | LoginError::Record(_) => {
            Outcome::Unavailable
        }
    }
}

pub(crate) fn name_of(person: Person) -> String {
    format!("person{}", person.0)
}

pub(crate) fn password_of(person: Person, number: PasswordNo) -> String {
    format!("password {number} of {}", name_of(person))
}

fn typed(person: Person, number: PasswordNo) -> Password {
    Password::try_new(password_of(person, number)).expect("it is short")
}

fn somewhere() -> nightlatch_core::Client {
    nightlatch_core::Client { address: IpAddr::from([192, 0, 2, 1]), user_agent: String::new() }
}

fn group_named(group: u32) -> Groups {
    Groups::try_new([format!("group{group}")]).expect("one short name is a group")
}

/// The group that an answer shows; 0: none.
fn group_of(active: &ActiveSession) -> u32 {
    let shown = active.user().groups.as_slice().first();
    shown.and_then(|group| group.strip_prefix("group")?.parse().ok()).unwrap_or(0)
}
