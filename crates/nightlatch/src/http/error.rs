//! Turns what the use cases say into problems: the one place where an error becomes a status.
//!
//! Every match is exhaustive, so that a new error cannot become a 500 by accident. 401 stands only
//! where we know; not knowing is 503 with `Retry-After`.

use std::error::Error;
use std::time::Duration;

use axum::http::StatusCode;
use nightlatch_core::service::{
    ChangePasswordError, CheckError, LoginError, LogoutError, RegisterError,
};
use nightlatch_core::{
    AuthServiceError, AuthServiceFailure, NoSigningKey, StoreError, StoreErrorKind, Weakness,
};

use crate::health::AUTH_SERVICE;
use crate::http::problem::{Cause, Code, Problem, Tried, Upstream};

/// When to come back to a record that does not answer.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(2);

/// When to come back to an auth service that does not answer, and has not said when.
const AUTH_SERVICE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The name of the record among the dependencies.
pub(crate) const DATABASE: &str = "database";

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(code_of_store(&error))
            .with_retry_after(STORE_RETRY_AFTER)
            .with_cause(cause_of(&error))
    }
}

const fn code_of_store(error: &StoreError) -> Code {
    match error.kind() {
        StoreErrorKind::Unavailable | StoreErrorKind::Corrupt => Code::StoreUnavailable,
        StoreErrorKind::Overloaded => Code::Overloaded,
        StoreErrorKind::Deadline => Code::Deadline,
        StoreErrorKind::TooStale => Code::StalenessExceeded,
    }
}

fn cause_of(error: &StoreError) -> Cause {
    let mut original = error.to_string();
    let mut source = error.source();
    // A chain of errors is short; the limit is for one that names itself.
    for _ in 0..8 {
        let Some(next) = source else { break };
        original.push_str(": ");
        original.push_str(&next.to_string());
        source = next.source();
    }
    Cause { dependency: DATABASE, class: error.class().as_str(), original, tried: None }
}

fn weak(weakness: Weakness, field: &'static str) -> Problem {
    Problem::new(Code::WeakPassword).with_detail(weakness.0.clone()).with_field(field, weakness.0)
}

impl From<CheckError> for Problem {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Overloaded { retry_after } => {
                Self::new(Code::Overloaded).with_retry_after(retry_after)
            }
            CheckError::UnknownKey | CheckError::UnknownTime | CheckError::Late => Self::not_yet(),
            CheckError::Record(error) => error.into(),
        }
    }
}

impl From<NoSigningKey> for Problem {
    fn from(NoSigningKey: NoSigningKey) -> Self {
        Self::not_yet()
    }
}

impl Problem {
    /// A key is missing that another server has, or the record has; or the time.
    pub(crate) fn not_yet() -> Self {
        Self::new(Code::StoreUnavailable).with_retry_after(STORE_RETRY_AFTER)
    }
}

/// The code that a failed login is told.
pub(crate) fn code_of_login(error: &LoginError) -> Code {
    match error {
        LoginError::InvalidCredentials => Code::InvalidCredentials,
        LoginError::NotInGroup => Code::NotInGroup,
        LoginError::Throttled { .. } => Code::Throttled,
        LoginError::Busy { .. } => Code::LoginBusy,
        LoginError::AuthService(error) => code_of_auth_service(error),
        LoginError::Record(error) => code_of_store(error),
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        let code = code_of_login(&error);
        match error {
            LoginError::InvalidCredentials | LoginError::NotInGroup => Self::new(code),
            LoginError::Throttled { limit, retry_after } => {
                Self::new(code).with_limit(limit).with_retry_after(retry_after)
            }
            LoginError::Busy { retry_after } => Self::new(code).with_retry_after(retry_after),
            LoginError::AuthService(error) => (*error).into(),
            LoginError::Record(error) => error.into(),
        }
    }
}

const fn code_of_auth_service(error: &AuthServiceError) -> Code {
    Code::Upstream(match error.failure {
        AuthServiceFailure::Overloaded => return Code::LoginBusy,
        AuthServiceFailure::Unreachable => Upstream::Unreachable,
        AuthServiceFailure::Dns => Upstream::Dns,
        AuthServiceFailure::Tls => Upstream::Tls,
        AuthServiceFailure::ConnectTimeout => Upstream::ConnectTimeout,
        AuthServiceFailure::ReadTimeout => Upstream::ReadTimeout,
        AuthServiceFailure::Unavailable => Upstream::Unavailable,
        AuthServiceFailure::Throttled => Upstream::Throttled,
        AuthServiceFailure::ServiceCredentials => Upstream::ServiceCredentials,
        AuthServiceFailure::EndpointMissing => Upstream::EndpointMissing,
        AuthServiceFailure::Error => Upstream::Error,
        AuthServiceFailure::BadResponse => Upstream::BadResponse,
    })
}

impl From<AuthServiceError> for Problem {
    fn from(error: AuthServiceError) -> Self {
        let code = code_of_auth_service(&error);
        if code == Code::LoginBusy {
            return Self::new(code).with_retry_after(AUTH_SERVICE_RETRY_AFTER);
        }
        let problem = Self::new(code).with_cause(Cause {
            dependency: AUTH_SERVICE,
            class: error.class.as_str(),
            original: error.to_string(),
            tried: Some(Tried {
                attempts: error.attempts,
                service_id_configured: error.has_credentials,
            }),
        });
        // Of a 502 nobody knows when it ends.
        if problem.status() == StatusCode::BAD_GATEWAY {
            return problem;
        }
        problem.with_retry_after(error.retry_after.unwrap_or(AUTH_SERVICE_RETRY_AFTER))
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Closed => Self::new(Code::RegistrationClosed),
            RegisterError::Weak(weakness) => weak(weakness, "password"),
            RegisterError::UsernameTaken => taken(Code::UsernameTaken, "username"),
            RegisterError::EmailTaken => taken(Code::EmailTaken, "email"),
            RegisterError::Throttled { limit, retry_after } => {
                Self::new(Code::Throttled).with_limit(limit).with_retry_after(retry_after)
            }
            RegisterError::Busy { retry_after } => {
                Self::new(Code::LoginBusy).with_retry_after(retry_after)
            }
            RegisterError::Record(error) => error.into(),
        }
    }
}

fn taken(code: Code, field: &'static str) -> Problem {
    Problem::new(code).with_field(field, code.detail())
}

impl From<ChangePasswordError> for Problem {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::Weak(weakness) => weak(weakness, "new_password"),
            ChangePasswordError::ManagedElsewhere => Self::new(Code::ManagedElsewhere),
            ChangePasswordError::NoSession => Self::new(Code::NoSession),
            ChangePasswordError::Login(LoginError::InvalidCredentials) => {
                let code = Code::WrongPassword;
                Self::new(code).with_field("current_password", code.detail())
            }
            ChangePasswordError::Login(error) => error.into(),
        }
    }
}

impl From<LogoutError> for Problem {
    fn from(error: LogoutError) -> Self {
        match error {
            LogoutError::NoSession => Self::new(Code::NoSession),
            LogoutError::Pending(error) => Self::new(Code::LogoutPending)
                .with_retry_after(STORE_RETRY_AFTER)
                .with_cause(cause_of(&error)),
            LogoutError::Record(error) => error.into(),
        }
    }
}
