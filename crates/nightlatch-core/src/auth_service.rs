//! The port to the service that vouches for users where logins are delegated, and how it fails.

use std::time::Duration;

use thiserror::Error;

use crate::{
    BoxFuture, Deadline, DisplayName, Email, FailureClass, Groups, Password, Subject, Username,
};

/// Somebody for whom the service vouches. What it does not say is `None` and stays as it is.
#[derive(Clone, Debug)]
pub struct Person {
    /// Its id of them.
    pub subject: Subject,
    /// Its name of them, if it can be one of ours.
    pub username: Option<Username>,
    /// Their e-mail.
    pub email: Option<Email>,
    /// Whether it knows that the e-mail is theirs.
    pub email_verified: Option<bool>,
    /// The name to show.
    pub name: Option<DisplayName>,
    /// Their groups.
    pub groups: Option<Groups>,
}

/// What the service says to a name and a password.
#[derive(Clone, Debug)]
pub enum Vouched {
    /// They are this person's.
    For(Person),
    /// They are nobody's, or of somebody who may not log in.
    Refused,
}

/// A login as it is handed on.
#[derive(Clone, Copy, Debug)]
pub struct HandedOn<'a> {
    /// User name or e-mail, as typed.
    pub login: &'a str,
    /// The password, as typed.
    pub password: &'a Password,
    /// The id of the request, which ties both logs together.
    pub request_id: &'a str,
}

/// In which way the service gave no answer that a login could rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthServiceFailure {
    /// Refused, no route, or the connection ended before an answer began.
    Unreachable,
    /// Its name could not be resolved.
    Dns,
    /// No connection that is safe.
    Tls,
    /// No connection in time.
    ConnectTimeout,
    /// No answer in time.
    ReadTimeout,
    /// It says that it is not available.
    Unavailable,
    /// It says that it was asked too often.
    Throttled,
    /// It does not take our own credentials, or there are none.
    ServiceCredentials,
    /// It has no such endpoint.
    EndpointMissing,
    /// It says that it has failed.
    Error,
    /// Its answer makes no sense.
    BadResponse,
    /// Too many logins wait for it here.
    Overloaded,
}

/// Why it is not known whose a name and a password are.
#[derive(Clone, Debug, Error)]
#[error("the auth service: {detail}")]
pub struct AuthServiceError {
    /// In which way.
    pub failure: AuthServiceFailure,
    /// The class, for health, metrics and logs.
    pub class: FailureClass,
    /// When to try again, if it said so.
    pub retry_after: Option<Duration>,
    /// How often it was asked.
    pub attempts: u32,
    /// Whether we have credentials for it.
    pub has_credentials: bool,
    /// Whether the password may have been looked at, and was not found good.
    pub may_be_evaluated: bool,
    /// What happened, without a secret.
    pub detail: String,
}

/// What the service says of somebody for whom it has vouched before.
#[derive(Clone, Debug)]
pub enum Standing {
    /// They may be logged in, and this is what it knows of them.
    Good(Person),
    /// They may not: it has disabled or deleted them.
    Ended,
}

/// Vouches for users.
pub trait AuthService: Send + Sync {
    /// Whose a name and a password are.
    fn vouch<'a>(
        &'a self,
        login: HandedOn<'a>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vouched, AuthServiceError>>;

    /// Whether the person of its id may still be logged in.
    fn standing<'a>(
        &'a self,
        subject: &'a Subject,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Standing, AuthServiceError>>;
}
