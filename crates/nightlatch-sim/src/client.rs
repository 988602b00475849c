//! Those who ask a node for something, and what they make of its answers.
//!
//! The promises are to people, so what is recorded is what a person would have seen: a status, not a
//! value of the inside.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::service::{
    ActiveSession, ChangePasswordError, ChangePasswordRequest, CheckError, LoggedIn, LoginError,
    LoginRequest, LogoutError, Refreshed, TokenPair, TokenRequest,
};
use nightlatch_core::{
    AccessTokens, Actor, Deadline, Groups, Password, Service, StoreError, UserId,
};

use crate::history::{
    Action, Given, GivenPair, GivenSession, OpId, Outcome, Pair, PasswordNo, Person, Recorder,
};
use crate::tokens::PlainTokens;

/// The deadlines of the server's requests.
pub(crate) const CHECK_DEADLINE: Duration = Duration::from_millis(400);
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(2);
pub(crate) const LOGIN_DEADLINE: Duration = Duration::from_secs(5);

/// Somebody with one request.
pub(crate) struct Client {
    service: Arc<Service>,
    access_tokens: Arc<PlainTokens>,
    session_age: Duration,
    recorder: Arc<Recorder>,
    op: OpId,
}

/// Why a step of an operation is its end.
type Ends = Outcome;

impl Client {
    pub(crate) fn new(
        service: Arc<Service>,
        (access_tokens, session_age): (Arc<PlainTokens>, Duration),
        (recorder, op): (Arc<Recorder>, OpId),
    ) -> Self {
        Self { service, access_tokens, session_age, recorder, op }
    }

    pub(crate) async fn perform(&self, action: Action) -> Outcome {
        let performed = match action {
            Action::Login { person, password, earlier } => {
                self.login(person, password, earlier).await
            }
            Action::LoginForTokens { person, password } => {
                self.login_for_tokens(person, password).await
            }
            Action::Check { session } => self.check(session).await,
            Action::Verify { session: _, pair } => self.verify(pair).await,
            Action::Refresh { session, pair } => self.refresh(session, pair).await,
            Action::Logout { session } => self.logout(session).await,
            Action::Revoke { session } => self.revoke(session).await,
            Action::RevokeOthers { kept } => self.revoke_others(kept).await,
            Action::ChangePassword { session, old, new } => {
                self.change_password(session, old, new).await
            }
            Action::RevokeAll { person } => done(
                self.service.revoke_all_of(self.user(person), Actor::node(), self.request()).await,
            ),
            Action::RevokeEverything => {
                done(self.service.revoke_everything(Actor::node(), self.request()).await)
            }
            Action::Disable { person } => done(
                self.service.disable_user(self.user(person), Actor::node(), self.request()).await,
            ),
            Action::Enable { person } => done(
                self.service.enable_user(self.user(person), Actor::node(), self.request()).await,
            ),
            Action::SetGroup { person, group } => {
                let (user, groups) = (self.user(person), group_named(group));
                done(self.service.set_groups(user, groups, Actor::node(), self.request()).await)
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
            earlier: earlier.and_then(|earlier| self.session(earlier).cookie),
            request_id: String::new(),
        };
        match self.service.login(request, self.within(LOGIN_DEADLINE)).await {
            Ok(logged_in) => Ok(Outcome::LoggedIn(self.keep(person, &logged_in))),
            Err(error) => Err(login_error(&error)),
        }
    }

    async fn login_for_tokens(
        &self,
        person: Person,
        password: PasswordNo,
    ) -> Result<Outcome, Ends> {
        let request = TokenRequest {
            login: name_of(person),
            password: typed(person, password),
            client: somewhere(),
            request_id: String::new(),
        };
        let issued = self.service.issue_tokens(request, self.within(LOGIN_DEADLINE)).await;
        let pair = issued.map_err(|error| login_error(&error))?.pair;
        let given = self.recorder.gives(GivenSession {
            id: pair.access.session,
            person,
            cookie: None,
            expires_at: pair.access.issued_at.after(self.session_age),
            born: self.op,
        });
        self.keep_pair(given, &pair);
        Ok(Outcome::LoggedIn(given))
    }

    async fn verify(&self, pair: Pair) -> Result<Outcome, Ends> {
        self.recorder.shows(self.op, pair);
        let access = self.pair(pair).access;
        match self.service.verify_access(&access, self.within(CHECK_DEADLINE)).await {
            Ok(true) => Ok(Outcome::Verified),
            Ok(false) => Err(Outcome::Refused),
            Err(error) => Err(check_error(&error)),
        }
    }

    async fn refresh(&self, session: Given, pair: Pair) -> Result<Outcome, Ends> {
        let refresh = self.pair(pair).refresh;
        match self.service.refresh(&refresh, Actor::node(), self.request()).await {
            Ok(Refreshed::Renewed(next)) => {
                let is_right = next.access.session == self.session(session).id;
                let refreshed = || Outcome::Refreshed(self.keep_pair(session, &next));
                if is_right { Ok(refreshed()) } else { Err(Outcome::SomebodyElses) }
            }
            Ok(Refreshed::Reused(_)) => Ok(Outcome::Reused),
            Ok(Refreshed::NotValid) => Err(Outcome::Refused),
            Err(error) => Err(check_error(&error)),
        }
    }

    async fn check(&self, given: Given) -> Result<Outcome, Ends> {
        let active = self.authenticate(given, self.within(CHECK_DEADLINE)).await?;
        Ok(Outcome::Accepted { group: group_of(&active) })
    }

    async fn logout(&self, given: Given) -> Result<Outcome, Ends> {
        let Some(cookie) = self.session(given).cookie else {
            return self.revoke_refresh(given).await;
        };
        let token = self.service.token_hash(&cookie);
        let token = token.expect("it was given out under these keys");
        ended(&self.service.logout(token, Actor::node(), self.request()).await)
    }

    /// How a program logs out.
    async fn revoke_refresh(&self, given: Given) -> Result<Outcome, Ends> {
        let pair = self.latest_pair(given);
        match self
            .service
            .revoke_refresh(&self.pair(pair).refresh, Actor::node(), self.request())
            .await
        {
            Ok(is_ours) => {
                assert!(is_ours, "it was given out under these keys");
                Ok(Outcome::Done)
            }
            Err(error) => ended::<()>(&Err(error)),
        }
    }

    async fn revoke(&self, given: Given) -> Result<Outcome, Ends> {
        let session = self.session(given);
        let user = self.user(session.person);
        ended(&self.service.revoke_session(user, session.id, Actor::node(), self.request()).await)
    }

    async fn revoke_others(&self, kept: Given) -> Result<Outcome, Ends> {
        let deadline = self.request();
        let active = self.authenticate(kept, deadline).await?;
        let (user, current) = (active.user().id, active.session().id);
        done(self.service.revoke_others(user, current, Actor::node(), deadline).await)
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
            request_id: String::new(),
        };
        match self.service.change_password(request, deadline).await {
            Ok(logged_in) => Ok(Outcome::LoggedIn(self.keep(person, &logged_in))),
            Err(ChangePasswordError::NoSession) => Err(Outcome::Refused),
            Err(ChangePasswordError::Weak(_) | ChangePasswordError::ManagedElsewhere) => {
                Err(Outcome::Denied)
            }
            Err(ChangePasswordError::Login(error)) => Err(login_error(&error)),
        }
    }

    /// What every request with a session begins with.
    async fn authenticate(&self, given: Given, deadline: Deadline) -> Result<ActiveSession, Ends> {
        let expected = self.session(given);
        let checked = if let Some(cookie) = &expected.cookie {
            self.service.check_session(cookie, deadline).await
        } else {
            let pair = self.latest_pair(given);
            self.recorder.shows(self.op, pair);
            self.service.check_bearer(&self.pair(pair).access, deadline).await
        };
        match checked {
            Ok(Some(active)) => {
                let user = self.user(expected.person);
                let is_right = active.session().id == expected.id && active.user().id == user;
                if is_right { Ok(active) } else { Err(Outcome::SomebodyElses) }
            }
            Ok(None) => Err(Outcome::Refused),
            Err(error) => Err(check_error(&error)),
        }
    }

    fn keep(&self, person: Person, logged_in: &LoggedIn) -> Given {
        self.recorder.gives(GivenSession {
            id: logged_in.session.id,
            person,
            cookie: Some(logged_in.token.expose().to_owned()),
            expires_at: logged_in.session.expires_at,
            born: self.op,
        })
    }

    fn keep_pair(&self, session: Given, pair: &TokenPair) -> Pair {
        let access = self.access_tokens.sign(&pair.access).expect("a number needs no key");
        self.recorder.gives_pair(GivenPair {
            session,
            access,
            access_expires_at: pair.access.expires_at,
            refresh: pair.refresh.expose(),
            step: pair.refresh.step(),
        })
    }

    fn latest_pair(&self, session: Given) -> Pair {
        let latest = self.recorder.history().latest_pair(session);
        latest.expect("a session without a cookie begins with a pair")
    }

    fn pair(&self, pair: Pair) -> GivenPair {
        self.recorder.history().pairs[pair.0].clone()
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

const fn check_error(error: &CheckError) -> Outcome {
    match error {
        CheckError::Overloaded { .. }
        | CheckError::UnknownKey
        | CheckError::UnknownTime
        | CheckError::Late
        | CheckError::Record(_) => Outcome::Unavailable,
    }
}

fn login_error(error: &LoginError) -> Outcome {
    match error {
        LoginError::InvalidCredentials | LoginError::NotInGroup => Outcome::Denied,
        LoginError::Throttled { .. }
        | LoginError::Busy { .. }
        | LoginError::AuthService(_)
        | LoginError::Record(_) => Outcome::Unavailable,
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
