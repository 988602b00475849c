//! What became of a login, as metrics name it: by the code of its answer.

use crate::http::problem::{Code, Upstream};

/// What became of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoginOutcome(Option<Code>);

/// Whose doing it was that a login came to what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// Somebody is logged in.
    Nobody,
    /// Who asked is refused.
    Client,
    /// We failed, or what is beneath us.
    Server,
}

/// How logins fail.
const FAILURES: [Code; 18] = [
    Code::InvalidCredentials,
    Code::Throttled,
    Code::LoginBusy,
    Code::Deadline,
    Code::StoreUnavailable,
    Code::Overloaded,
    Code::StalenessExceeded,
    Code::Upstream(Upstream::Unreachable),
    Code::Upstream(Upstream::Dns),
    Code::Upstream(Upstream::Tls),
    Code::Upstream(Upstream::ConnectTimeout),
    Code::Upstream(Upstream::ReadTimeout),
    Code::Upstream(Upstream::Unavailable),
    Code::Upstream(Upstream::Throttled),
    Code::Upstream(Upstream::ServiceCredentials),
    Code::Upstream(Upstream::EndpointMissing),
    Code::Upstream(Upstream::Error),
    Code::Upstream(Upstream::BadResponse),
];

impl LoginOutcome {
    /// A session has begun.
    pub(crate) const SUCCESS: Self = Self(None);

    /// As many kinds there are; the last is for a code that logins do not have.
    pub(super) const KINDS: usize = FAILURES.len() + 2;

    /// A login failed with this code.
    pub(crate) const fn failed(code: Code) -> Self {
        Self(Some(code))
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        [None].into_iter().chain(FAILURES.map(Some)).map(Self)
    }

    pub(super) fn index(self) -> usize {
        Self::all().position(|outcome| outcome == self).unwrap_or(Self::KINDS - 1)
    }

    /// Whose doing it was.
    pub(super) const fn blame(self) -> Blame {
        match self.0 {
            None => Blame::Nobody,
            Some(Code::InvalidCredentials | Code::Throttled) => Blame::Client,
            Some(_) => Blame::Server,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self.0 {
            None => "success",
            Some(code) => code.as_str(),
        }
    }
}
