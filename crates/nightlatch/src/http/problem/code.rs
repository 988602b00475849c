//! The codes of problems: stable names that programs branch on. Each is explained in
//! `docs/errors.md`.

use axum::http::StatusCode;

use super::upstream::Upstream;

/// A problem's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is not HTTP, JSON or a form that we can read.
    BadRequest,
    /// No such page, endpoint or session.
    NotFound,
    /// The path exists, with another method.
    MethodNotAllowed,
    /// The body is over the limit.
    BodyTooLarge,
    /// The body is of another type than the endpoint takes.
    WrongContentType,
    /// A field breaks a rule.
    InvalidField,
    /// The new password is too easily guessed.
    WeakPassword,
    /// Too many tries.
    Throttled,
    /// The headers are over the limit.
    HeadersTooLarge,
    /// Name or password are wrong.
    InvalidCredentials,
    /// There is no session, or no longer.
    NoSession,
    /// A token is none, or no longer one.
    TokenNotValid,
    /// The request does not prove that it came from our page.
    CsrfFailed,
    /// The current password is wrong.
    WrongPassword,
    /// Nobody can register here.
    RegistrationClosed,
    /// The user is in none of the groups that are let in.
    NotInGroup,
    /// The user name is taken.
    UsernameTaken,
    /// The e-mail address is taken.
    EmailTaken,
    /// The auth service keeps this user's password.
    ManagedElsewhere,
    /// The auth service gave no answer that a login could rest on.
    Upstream(Upstream),
    /// Our own deadline ran out.
    Deadline,
    /// The record does not answer.
    StoreUnavailable,
    /// Too many logins at once.
    LoginBusy,
    /// Too many requests at once.
    Overloaded,
    /// The revocation is not durable yet.
    LogoutPending,
    /// The record does not answer, and what is known here is too old.
    StalenessExceeded,
    /// A bug.
    InternalError,
}

impl Code {
    /// The codes of our own.
    const OWN: &'static [Self] = &[
        Self::BadRequest,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::BodyTooLarge,
        Self::WrongContentType,
        Self::InvalidField,
        Self::WeakPassword,
        Self::Throttled,
        Self::HeadersTooLarge,
        Self::InvalidCredentials,
        Self::NoSession,
        Self::TokenNotValid,
        Self::CsrfFailed,
        Self::WrongPassword,
        Self::RegistrationClosed,
        Self::NotInGroup,
        Self::UsernameTaken,
        Self::EmailTaken,
        Self::ManagedElsewhere,
        Self::Deadline,
        Self::StoreUnavailable,
        Self::LoginBusy,
        Self::Overloaded,
        Self::LogoutPending,
        Self::StalenessExceeded,
        Self::InternalError,
    ];

    /// Every code, for the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OWN.iter().copied().chain(Upstream::ALL.into_iter().map(Self::Upstream))
    }

    /// The name that programs branch on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooLarge => "body_too_large",
            Self::WrongContentType => "wrong_content_type",
            Self::InvalidField => "invalid_field",
            Self::WeakPassword => "weak_password",
            Self::Throttled => "throttled",
            Self::HeadersTooLarge => "headers_too_large",
            Self::InvalidCredentials => "invalid_credentials",
            Self::NoSession => "no_session",
            Self::TokenNotValid => "token_not_valid",
            Self::CsrfFailed => "csrf_failed",
            Self::WrongPassword => "wrong_password",
            Self::RegistrationClosed => "registration_closed",
            Self::NotInGroup => "not_in_group",
            Self::UsernameTaken => "username_taken",
            Self::EmailTaken => "email_taken",
            Self::ManagedElsewhere => "managed_elsewhere",
            Self::Upstream(upstream) => upstream.as_str(),
            Self::Deadline => "deadline",
            Self::StoreUnavailable => "store_unavailable",
            Self::LoginBusy => "login_busy",
            Self::Overloaded => "overloaded",
            Self::LogoutPending => "logout_pending",
            Self::StalenessExceeded => "staleness_exceeded",
            Self::InternalError => "internal_error",
        }
    }

    /// The status it is sent with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidField | Self::WeakPassword => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::InvalidCredentials | Self::NoSession | Self::TokenNotValid => {
                StatusCode::UNAUTHORIZED
            }
            Self::CsrfFailed
            | Self::WrongPassword
            | Self::RegistrationClosed
            | Self::NotInGroup => StatusCode::FORBIDDEN,
            Self::UsernameTaken | Self::EmailTaken | Self::ManagedElsewhere => StatusCode::CONFLICT,
            Self::Upstream(upstream) => upstream.status(),
            Self::Deadline
            | Self::StoreUnavailable
            | Self::LoginBusy
            | Self::Overloaded
            | Self::LogoutPending
            | Self::StalenessExceeded => StatusCode::SERVICE_UNAVAILABLE,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A short name for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "Bad request",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::BodyTooLarge => "Request too large",
            Self::WrongContentType => "Unsupported content type",
            Self::InvalidField => "Invalid field",
            Self::WeakPassword => "Password too weak",
            Self::Throttled => "Too many tries",
            Self::HeadersTooLarge => "Headers too large",
            Self::InvalidCredentials => "Login failed",
            Self::NoSession => "Not logged in",
            Self::TokenNotValid => "Token not valid",
            Self::CsrfFailed => "Request not confirmed",
            Self::WrongPassword => "Wrong password",
            Self::RegistrationClosed => "Registration closed",
            Self::NotInGroup => "Not in a group that may",
            Self::UsernameTaken => "User name taken",
            Self::EmailTaken => "E-mail address taken",
            Self::ManagedElsewhere => "Managed elsewhere",
            Self::Upstream(_) => "Login not possible now",
            Self::Deadline | Self::StoreUnavailable | Self::StalenessExceeded => {
                "Temporarily unavailable"
            }
            Self::LoginBusy | Self::Overloaded => "Busy",
            Self::LogoutPending => "Logout not confirmed yet",
            Self::InternalError => "Internal error",
        }
    }

    /// The usual explanation.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::BadRequest => "The request could not be read.",
            Self::NotFound => "There is nothing here.",
            Self::MethodNotAllowed => "This path does not take this method.",
            Self::BodyTooLarge => "The body of a request has at most 64 KiB.",
            Self::WrongContentType => "This endpoint takes only application/json.",
            Self::InvalidField => "At least one field breaks a rule.",
            Self::WeakPassword => "Choose a password that is harder to guess.",
            Self::Throttled => "Too many tries. Wait before the next one.",
            Self::HeadersTooLarge => "A request has at most 100 headers and 32 KiB of them.",
            Self::InvalidCredentials => "The name or the password is wrong.",
            Self::NoSession => "There is no session, or it has ended. Log in.",
            Self::TokenNotValid => {
                "The token is not valid, or not any more: it has expired, was exchanged, or its session has ended. Log in."
            }
            Self::CsrfFailed => {
                "The request does not prove that it came from our own page. Reload the page and try again."
            }
            Self::WrongPassword => "The current password is wrong.",
            Self::RegistrationClosed => {
                "Nobody can register here. Ask the operator for an account."
            }
            Self::NotInGroup => {
                "You are logged in, but in none of the groups that may see this. Ask the operator."
            }
            Self::UsernameTaken => "This user name is taken.",
            Self::EmailTaken => "This e-mail address is taken.",
            Self::ManagedElsewhere => "This password is kept by another service. Change it there.",
            Self::Upstream(upstream) => upstream.detail(),
            Self::Deadline => "The answer was not ready in time. Try again.",
            Self::StoreUnavailable => {
                "We cannot look this up now. Nobody is logged out by this; try again."
            }
            Self::LoginBusy => "Many people are logging in at this moment. Try again.",
            Self::Overloaded => "There are too many requests at this moment. Try again.",
            Self::LogoutPending => {
                "The logout is not stored safely yet. This server refuses the session from now on and keeps trying; ask again to have it confirmed."
            }
            Self::StalenessExceeded => {
                "We have not been able to look up who is logged out for too long. Nobody is logged out by this; try again."
            }
            Self::InternalError => "This is a bug. The request id finds it in the log.",
        }
    }

    /// What an operator can do, shown outside production.
    #[must_use]
    pub const fn suggestions(self) -> &'static [&'static str] {
        match self {
            Self::StoreUnavailable
            | Self::Deadline
            | Self::LogoutPending
            | Self::StalenessExceeded => &[
                "Look at /health: it names the class of the failure and since when it lasts.",
                "Check DATABASE_URL with `nightlatch config`, and that the database answers.",
            ],
            Self::CsrfFailed => &[
                "Send the csrf_token of the login answer in the header X-CSRF-Token.",
                "Check that PUBLIC_URL is the origin that browsers see, or list yours in ALLOWED_ORIGINS.",
            ],
            Self::Upstream(upstream) => upstream.suggestions(),
            Self::LoginBusy => &["Every login costs a password hash; more cores take more logins."],
            Self::BadRequest
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::BodyTooLarge
            | Self::WrongContentType
            | Self::InvalidField
            | Self::WeakPassword
            | Self::Throttled
            | Self::HeadersTooLarge
            | Self::InvalidCredentials
            | Self::NoSession
            | Self::TokenNotValid
            | Self::WrongPassword
            | Self::RegistrationClosed
            | Self::NotInGroup
            | Self::UsernameTaken
            | Self::EmailTaken
            | Self::ManagedElsewhere
            | Self::Overloaded
            | Self::InternalError => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once() {
        let mut names: Vec<_> = Code::all().map(Code::as_str).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::all().count());
    }
}
