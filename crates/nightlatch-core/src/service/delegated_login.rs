//! Delegated login: another service says whose a name and a password are; the session is ours.
//!
//! Its users are mirrored by its own id of them, so that a renamed one is the same person. Who has a
//! password here is checked here, by whatever name, and is never mirrored: nobody there can become
//! somebody here by taking their name.

use sha2::{Digest as _, Sha256};

use super::Service;
use super::login::{Attempt, BUSY_RETRY_AFTER, LoginError, Opened, ROUNDS_MAX};
use super::login_guard::Guess;
use super::record_budget::RecordBudget;
use crate::{
    Actor, AddressPrefix, AuthService, AuthServiceError, AuthServiceFailure, CreateUser,
    Credentials, Deadline, DisplayName, FailureClass, HandedOn, MirrorFound, MirrorKeys,
    MirrorUpdate, NewSession, NewUser, Person, User, UserId, Username, Vouched,
};

impl Service {
    /// The service that vouches for somebody; `None`: their password is here, or none is configured.
    pub(super) fn vouches_for(&self, found: Option<&Credentials>) -> Option<&dyn AuthService> {
        let has_password = found.is_some_and(|credentials| credentials.hash.is_some());
        self.ports.auth_service.as_deref().filter(|_| !has_password)
    }

    /// From the word of another service to a session.
    pub(super) async fn log_in_delegated<T>(
        &self,
        service: &dyn AuthService,
        (attempt, found): (Attempt<'_>, Option<Credentials>),
        (open, mut budget): (impl Fn(&User) -> (NewSession, T), RecordBudget),
        guess: Guess<'_>,
    ) -> Result<Opened<T>, LoginError> {
        let before = budget.before_last_calls(self.clock());
        let person = self.guess_there(service, (&guess, &attempt), found.as_ref(), before).await?;
        let fallback = username_for(&person, attempt.login);
        let prefix = AddressPrefix::of(attempt.client.address);
        for _ in 0..ROUNDS_MAX {
            let user = self.mirror(&person, &fallback, (&mut budget, guess.by)).await?;
            if !user.enabled {
                return Err(LoginError::InvalidCredentials);
            }
            attempt.admit(&user)?;
            self.knows_login_time()?;
            let (new, secret) = open(&user);
            let by = guess.by.clone();
            let create = |deadline| self.ports.record.create_session(new, prefix, by, deadline);
            if let Some(created) = budget.spend(self.clock(), create).await? {
                return Ok(Opened { found: created.value, secret, upgrade: None });
            }
        }
        Err(LoginError::Busy { retry_after: BUSY_RETRY_AFTER })
    }

    /// Has one guess evaluated there, under the throttle here.
    async fn guess_there(
        &self,
        service: &dyn AuthService,
        (guess, attempt): (&Guess<'_>, &Attempt<'_>),
        found: Option<&Credentials>,
        deadline: Deadline,
    ) -> Result<Person, LoginError> {
        let wants = self.guess_limits(guess, found);
        let tried = Some(guess.tried(found));
        let ticket = self.ports.throttle.reserve(wants, tried, deadline).await?;
        let handed_on = HandedOn {
            login: attempt.login,
            password: &attempt.password,
            request_id: attempt.request_id,
        };
        match service.vouch(handed_on, deadline).await {
            Ok(Vouched::For(person)) => {
                ticket.give_back();
                Ok(person)
            }
            Ok(Vouched::Refused) => {
                ticket.fail().await;
                Err(LoginError::InvalidCredentials)
            }
            // A service that says "no" in its own way must not give free guesses.
            Err(error) if error.may_be_evaluated => {
                ticket.fail().await;
                Err(error.into())
            }
            Err(not_evaluated) => {
                ticket.give_back();
                Err(not_evaluated.into())
            }
        }
    }

    /// The user who mirrors a person, as the person is now.
    async fn mirror(
        &self,
        person: &Person,
        username: &Username,
        (budget, by): (&mut RecordBudget, &Actor),
    ) -> Result<User, LoginError> {
        let record = &self.ports.record;
        for _ in 0..ROUNDS_MAX {
            let keys = MirrorKeys {
                subject: person.subject.clone(),
                username: username.clone(),
                email: person.email.clone(),
            };
            let find = |deadline| record.find_mirrored(keys, deadline);
            let found = budget.spend(self.clock(), find).await?;
            match step(person, username, &found) {
                Step::Keep(user) => return Ok(user),
                Step::Update(update) => {
                    let update = |deadline| record.update_mirrored(update, deadline);
                    if let Some(updated) = budget.spend(self.clock(), update).await? {
                        return Ok(updated.value);
                    }
                }
                Step::Create => {
                    let user = self.new_mirror(person, username, &found);
                    let by = by.by_auth_service();
                    let create = |deadline| record.create_user(user, by, deadline);
                    if let CreateUser::Created(user) = budget.spend(self.clock(), create).await? {
                        return Ok(user);
                    }
                }
                Step::NameTaken => return Err(name_taken(username).into()),
            }
        }
        Err(LoginError::Busy { retry_after: BUSY_RETRY_AFTER })
    }

    fn new_mirror(&self, person: &Person, username: &Username, found: &[MirrorFound]) -> NewUser {
        let now = self.now();
        let email = person.email.clone().filter(|_| !email_is_taken(person, found, None));
        NewUser {
            id: UserId::fresh(self.entropy(), now),
            username: username.clone(),
            email_verified: email.is_some() && person.email_verified.unwrap_or_default(),
            email,
            name: person.name.clone().map(DisplayName::into_string).unwrap_or_default(),
            groups: person.groups.clone().unwrap_or_default(),
            hash: None,
            subject: Some(person.subject.clone()),
            enabled: true,
            created_at: now,
        }
    }
}

/// What is to be done so that the record says what the service says.
#[derive(Debug)]
enum Step {
    Keep(User),
    Update(MirrorUpdate),
    Create,
    NameTaken,
}

fn step(person: &Person, username: &Username, found: &[MirrorFound]) -> Step {
    let mirror = found.iter().find(|it| is_mirror_of(it, person));
    let of_name = found.iter().find(|it| it.user.username.folded() == username.folded());
    let (user, is_mirror) = match (mirror, of_name) {
        // A password was set meanwhile: from then on it alone counts.
        (Some(mirror), _) if mirror.has_password => return Step::NameTaken,
        (Some(mirror), _) => (&mirror.user, true),
        (None, None) => return Step::Create,
        // Somebody whom an operator has added beforehand.
        (None, Some(MirrorFound { user, subject: None, has_password: false }))
            if person.username.is_some() =>
        {
            (user, false)
        }
        (None, Some(_)) => return Step::NameTaken,
    };
    let update = update_of(user, person, username, found);
    if is_mirror && says_the_same(user, &update) {
        Step::Keep(user.clone())
    } else {
        Step::Update(update)
    }
}

/// What is to be written so that the record says of one who is mirrored what the service says; `None`:
/// nothing, or they are its mirror no more.
pub(super) fn update_due(
    person: &Person,
    username: &Username,
    found: &[MirrorFound],
) -> Option<MirrorUpdate> {
    match step(person, username, found) {
        Step::Update(update) if found.iter().any(|it| is_mirror_of(it, person)) => Some(update),
        Step::Update(_) | Step::Keep(_) | Step::Create | Step::NameTaken => None,
    }
}

fn is_mirror_of(found: &MirrorFound, person: &Person) -> bool {
    found.subject.as_ref() == Some(&person.subject)
}

/// A name or an e-mail that is somebody else's here is not taken over.
fn update_of(
    user: &User,
    person: &Person,
    username: &Username,
    found: &[MirrorFound],
) -> MirrorUpdate {
    let others = || found.iter().filter(|it| it.user.id != user.id);
    let is_named = person.username.is_some()
        && others().all(|it| it.user.username.folded() != username.folded());
    let email = match &person.email {
        Some(email) if !email_is_taken(person, found, Some(user.id)) => Some(email.clone()),
        Some(_) | None => user.email.clone(),
    };
    let is_same = |email: &crate::Email| {
        user.email.as_ref().is_some_and(|own| own.folded() == email.folded())
    };
    let was_verified = email.as_ref().is_some_and(is_same) && user.email_verified;
    let is_told = email.is_some() && email == person.email;
    let told = person.email_verified.filter(|_| is_told);
    MirrorUpdate {
        id: user.id,
        subject: person.subject.clone(),
        username: if is_named { username.clone() } else { user.username.clone() },
        email,
        email_verified: told.unwrap_or(was_verified),
        name: person.name.clone().map_or_else(|| user.name.clone(), DisplayName::into_string),
        groups: person.groups.clone().unwrap_or_else(|| user.groups.clone()),
    }
}

fn email_is_taken(person: &Person, found: &[MirrorFound], by: Option<UserId>) -> bool {
    let Some(wanted) = &person.email else { return false };
    found
        .iter()
        .filter(|it| Some(it.user.id) != by)
        .any(|it| it.user.email.as_ref().is_some_and(|email| email.folded() == wanted.folded()))
}

fn says_the_same(user: &User, update: &MirrorUpdate) -> bool {
    (&user.username, &user.email, user.email_verified, &user.name, &user.groups)
        == (&update.username, &update.email, update.email_verified, &update.name, &update.groups)
}

/// The name of a person here: the service's, else what was typed, else one made of its id.
fn username_for(person: &Person, typed: &str) -> Username {
    let typed = || Username::try_existing(typed).ok();
    person.username.clone().or_else(typed).unwrap_or_else(|| {
        let digest = Sha256::digest(person.subject.as_str());
        let first = digest.first_chunk().copied().map_or(0, u64::from_be_bytes);
        let name = format!("user-{first:016x}");
        Username::try_existing(&name).expect("letters, digits and a hyphen")
    })
}

fn name_taken(username: &Username) -> AuthServiceError {
    AuthServiceError {
        failure: AuthServiceFailure::BadResponse,
        class: FailureClass::Protocol,
        retry_after: None,
        attempts: 1,
        has_credentials: true,
        may_be_evaluated: false,
        detail: format!(
            "it vouches for a user of the name {:?}, which is a local user's or another person's; \
             rename or delete that one",
            username.as_str()
        ),
    }
}

#[cfg(test)]
mod tests;
