//! How the auth service fails, classified once.
//!
//! Whether a failure is worth another attempt, opens the breaker, or says something of the service as a
//! whole depends on what it is: an answer that was given is no reason to ask again, and what one login
//! has brought about must not close the door to others.

use std::time::Duration;

use nightlatch_core::{AuthServiceError, AuthServiceFailure as Kind, FailureClass};

use crate::outbound::Unanswered;

/// Why there is no answer that a login could rest on.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    kind: Kind,
    class: FailureClass,
    retry_after: Option<Duration>,
    nature: Nature,
    detail: String,
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Unconnected(class) => Self::unconnected(class),
            Unanswered::ConnectTimeout => Self::connect_timeout(),
            Unanswered::ReadTimeout => Self::read_timeout(),
            Unanswered::Closed => Self::closed(),
            Unanswered::Cut => Self::cut(),
            Unanswered::Garbage(detail) => Self::garbage(detail),
            Unanswered::UnusableAuthorities(detail) => Self::unusable_authorities(&detail),
        }
    }
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    /// Nobody was heard: it may be asked again.
    Silence { is_closed: bool },
    /// Somebody was heard, or may have been, and others would fare the same; asking again is of no use.
    Broken,
    /// It says that it cannot serve now: it may be asked again.
    Refusal,
    /// It has answered, in a way that concerns everybody.
    Definite,
    /// It has answered this login, and others may fare better.
    Single,
    /// It was not asked.
    Unasked,
}

impl Failure {
    fn new(kind: Kind, class: FailureClass, nature: Nature, detail: impl Into<String>) -> Self {
        Self { kind, class, retry_after: None, nature, detail: detail.into() }
    }

    pub(super) fn no_target() -> Self {
        let detail = "AUTH_SERVICE_URL is missing, or makes no sense";
        Self::new(Kind::Unreachable, FailureClass::Unreachable, Nature::Definite, detail)
    }

    pub(super) fn no_credentials() -> Self {
        let detail = "SERVICE_ID and SERVICE_SECRET are not both set";
        let class = FailureClass::AuthRequired;
        Self::new(Kind::ServiceCredentials, class, Nature::Definite, detail)
    }

    fn unusable_authorities(detail: &str) -> Self {
        let detail = format!("AUTH_SERVICE_CA_FILE: {detail}");
        Self::new(Kind::Tls, FailureClass::TlsUntrusted, Nature::Broken, detail)
    }

    /// Logins have found it away, and nobody else needs to ask.
    pub(super) fn known_to_be_away() -> Self {
        let detail = "logins have found it away just now";
        Self::new(Kind::Unavailable, FailureClass::Closed, Nature::Unasked, detail)
    }

    /// Our own deadline left it no time; what it would have said is not known.
    pub(super) fn too_late(self) -> Self {
        Self { nature: Nature::Unasked, ..self }
    }

    pub(super) fn crowded() -> Self {
        let detail = "too many logins wait for it";
        Self::new(Kind::Overloaded, FailureClass::Busy, Nature::Unasked, detail)
    }

    /// There is no connection.
    fn unconnected(class: FailureClass) -> Self {
        let name = class.as_str();
        let silence = Nature::Silence { is_closed: false };
        match class {
            FailureClass::Dns => {
                Self::new(Kind::Dns, class, silence, "its name cannot be resolved")
            }
            FailureClass::Timeout => Self::connect_timeout(),
            FailureClass::Unreachable => {
                Self::new(Kind::Unreachable, class, silence, "it cannot be reached")
            }
            FailureClass::Closed => {
                Self::new(Kind::Unreachable, class, silence, "it ended the connection")
            }
            _ => {
                let detail = format!("there is no safe connection: {name}");
                Self::new(Kind::Tls, class, Nature::Broken, detail)
            }
        }
    }

    fn connect_timeout() -> Self {
        let silence = Nature::Silence { is_closed: false };
        let detail = "there was no connection in time";
        Self::new(Kind::ConnectTimeout, FailureClass::Timeout, silence, detail)
    }

    fn read_timeout() -> Self {
        let detail = "there was no whole answer in time";
        Self::new(Kind::ReadTimeout, FailureClass::Timeout, Nature::Broken, detail)
    }

    /// The connection ended before an answer began.
    fn closed() -> Self {
        let silence = Nature::Silence { is_closed: true };
        let detail = "it ended the connection without an answer";
        Self::new(Kind::Unreachable, FailureClass::Closed, silence, detail)
    }

    /// The connection ended in the middle of an answer.
    fn cut() -> Self {
        let detail = "its answer was cut off";
        Self::new(Kind::BadResponse, FailureClass::Closed, Nature::Broken, detail)
    }

    /// What came is not HTTP, or not what was asked for, whoever asks.
    pub(super) fn garbage(detail: impl Into<String>) -> Self {
        Self::new(Kind::BadResponse, FailureClass::Protocol, Nature::Broken, detail)
    }

    /// What came makes no sense for this login.
    pub(super) fn nonsense(detail: impl Into<String>) -> Self {
        Self::new(Kind::BadResponse, FailureClass::Protocol, Nature::Single, detail)
    }

    /// What came is a whole answer, but of another kind than any login should get.
    pub(super) fn odd(detail: impl Into<String>) -> Self {
        Self::new(Kind::BadResponse, FailureClass::Protocol, Nature::Definite, detail)
    }

    pub(super) fn service_credentials(class: FailureClass, status: u16) -> Self {
        let detail = format!("it does not take SERVICE_ID and SERVICE_SECRET: {status}");
        Self::new(Kind::ServiceCredentials, class, Nature::Definite, detail)
    }

    pub(super) fn endpoint_missing(status: u16, path: &str) -> Self {
        let detail = format!("there is nothing at {path} to ask: {status}");
        Self::new(Kind::EndpointMissing, FailureClass::Missing, Nature::Definite, detail)
    }

    pub(super) fn throttled(status: u16, retry_after: Option<Duration>) -> Self {
        let detail = format!("it is asked too often: {status}");
        let failure = Self::new(Kind::Throttled, FailureClass::Busy, Nature::Single, detail);
        Self { retry_after, ..failure }
    }

    pub(super) fn unavailable(retry_after: Option<Duration>) -> Self {
        let detail = "it is not available: 503";
        let failure = Self::new(Kind::Unavailable, FailureClass::Busy, Nature::Refusal, detail);
        Self { retry_after, ..failure }
    }

    pub(super) fn error(status: u16) -> Self {
        let detail = format!("it has failed: {status}");
        // Of a gateway in front, which has not heard the service.
        let nature = if matches!(status, 502 | 504) { Nature::Refusal } else { Nature::Definite };
        Self::new(Kind::Error, FailureClass::Protocol, nature, detail)
    }

    pub(super) const fn class(&self) -> FailureClass {
        self.class
    }

    pub(super) const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(super) const fn may_be_retried(&self) -> bool {
        matches!(self.nature, Nature::Silence { .. } | Nature::Refusal)
    }

    /// Whether a kept connection may simply have been an old one.
    pub(super) const fn is_closed_unanswered(&self) -> bool {
        matches!(self.nature, Nature::Silence { is_closed: true })
    }

    /// Whether the next one would most likely wait in vain.
    pub(super) const fn opens_breaker(&self) -> bool {
        matches!(self.nature, Nature::Silence { .. } | Nature::Refusal | Nature::Broken)
    }

    /// Whether it may have looked at the password: what it answered to that is a guess, however it said it.
    const fn may_be_evaluated(&self) -> bool {
        matches!((self.nature, self.kind), (Nature::Single, kind) if !matches!(kind, Kind::Throttled))
    }

    /// Whether nothing was learned of the service.
    pub(super) const fn says_nothing(&self) -> bool {
        matches!(self.nature, Nature::Unasked)
    }

    /// Whether it says something of the service and not only of one login.
    pub(super) const fn concerns_everybody(&self) -> bool {
        !matches!(self.nature, Nature::Single | Nature::Unasked)
    }

    pub(super) fn into_error(self, attempts: u32, has_credentials: bool) -> AuthServiceError {
        let may_be_evaluated = self.may_be_evaluated();
        let Self { kind: failure, class, retry_after, detail, .. } = self;
        AuthServiceError {
            failure,
            class,
            retry_after,
            attempts,
            has_credentials,
            may_be_evaluated,
            detail,
        }
    }
}
