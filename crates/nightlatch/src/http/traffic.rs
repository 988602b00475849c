//! Counts what was answered. Most of it is too frequent to be logged.

mod endpoint;
mod login_outcome;

use std::time::Duration;

use axum::http::StatusCode;
use nightlatch_core::Counters;

pub(crate) use endpoint::Endpoint;
pub(crate) use login_outcome::LoginOutcome;

use crate::metrics::Histogram;

/// Statuses that are told apart.
const STATUSES: [(u16, &str); 24] = [
    (200, "200"),
    (201, "201"),
    (204, "204"),
    (206, "206"),
    (302, "302"),
    (303, "303"),
    (304, "304"),
    (307, "307"),
    (308, "308"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (409, "409"),
    (413, "413"),
    (415, "415"),
    (422, "422"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];

/// Those, and all others.
const STATUS_KINDS: usize = STATUSES.len() + 1;

const ANSWERS: usize = Endpoint::ALL.len() * STATUS_KINDS;

/// What was served since the start.
#[derive(Debug, Default)]
pub struct Traffic {
    answers: Counters<ANSWERS>,
    checks: Counters<{ CheckOutcome::ALL.len() }>,
    refreshes: Counters<{ RefreshOutcome::ALL.len() }>,
    logins: Counters<{ LoginOutcome::KINDS }>,
    login_spans: Histogram,
}

/// What a session check was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckOutcome {
    /// That there is a session.
    Session,
    /// That there is none.
    None,
    /// That it cannot be told.
    Unknown,
}

/// What became of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshOutcome {
    /// Exchanged.
    Renewed,
    /// Presented after it was exchanged: its session has ended by that.
    Reused,
    /// None, or no longer one.
    NotValid,
}

impl CheckOutcome {
    const ALL: [Self; 3] = [Self::Session, Self::None, Self::Unknown];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

impl RefreshOutcome {
    const ALL: [Self; 3] = [Self::Renewed, Self::Reused, Self::NotValid];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Reused => "reused",
            Self::NotValid => "not_valid",
        }
    }
}

impl Traffic {
    pub(crate) fn count_answer(&self, endpoint: Endpoint, status: StatusCode) {
        let kind = STATUSES.iter().position(|(known, _)| *known == status.as_u16());
        self.answers.count(answer_index(endpoint, kind.unwrap_or(STATUSES.len())));
    }

    pub(crate) fn count_session_check(&self, outcome: CheckOutcome) {
        self.checks.count(outcome as usize);
    }

    pub(crate) fn count_refresh(&self, outcome: RefreshOutcome) {
        self.refreshes.count(outcome as usize);
    }

    pub(crate) fn count_login(&self, outcome: LoginOutcome, took: Duration) {
        self.logins.count(outcome.index());
        if outcome == LoginOutcome::SUCCESS {
            self.login_spans.observe(took);
        }
    }

    /// Requests by endpoint, status and number: failures of ours from the start, so that the first one is
    /// seen as a rise, and others once there was one.
    pub(crate) fn answers(&self) -> impl Iterator<Item = (Endpoint, &'static str, u64)> {
        let counts = self.answers.read();
        Endpoint::ALL.into_iter().flat_map(move |endpoint| {
            let told = STATUSES.into_iter().chain([(0, "other")]).enumerate();
            told.filter_map(move |(kind, (status, name))| {
                let count = counts[answer_index(endpoint, kind)];
                (count > 0 || status >= 500).then_some((endpoint, name, count))
            })
        })
    }

    /// Session checks, by what they were told.
    pub(crate) fn session_checks(&self) -> [(&'static str, u64); CheckOutcome::ALL.len()] {
        let counts = self.checks.read();
        CheckOutcome::ALL.map(|outcome| (outcome.as_str(), counts[outcome as usize]))
    }

    /// Refresh tokens that were presented, by what became of them.
    pub(crate) fn refreshes(&self) -> [(&'static str, u64); RefreshOutcome::ALL.len()] {
        let counts = self.refreshes.read();
        RefreshOutcome::ALL.map(|outcome| (outcome.as_str(), counts[outcome as usize]))
    }

    /// Logins, by what became of them.
    pub(crate) fn logins(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.logins.read();
        LoginOutcome::all().map(move |outcome| (outcome.as_str(), counts[outcome.index()]))
    }

    /// Logins, by whose doing it was that they came to what they came to.
    pub(crate) fn logins_by_blame(&self) -> [(&'static str, u64); 3] {
        let mut told = [("logged in", 0), ("refused", 0), ("failed", 0)];
        let counts = self.logins.read();
        for outcome in LoginOutcome::all() {
            told[outcome.blame() as usize].1 += counts[outcome.index()];
        }
        told
    }

    /// How long logins took that succeeded.
    pub(crate) const fn login_spans(&self) -> &Histogram {
        &self.login_spans
    }

    /// Requests, successful session checks, and answers about health.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        let (mut requests, mut health) = (0, 0);
        for (endpoint, _, count) in self.answers() {
            requests += count;
            health += if endpoint == Endpoint::Health { count } else { 0 };
        }
        (requests, self.checks.read()[CheckOutcome::Session as usize], health)
    }
}

const fn answer_index(endpoint: Endpoint, kind: usize) -> usize {
    endpoint as usize * STATUS_KINDS + kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_endpoint_and_status() {
        let traffic = Traffic::default();
        traffic.count_answer(Endpoint::Login, StatusCode::OK);
        traffic.count_answer(Endpoint::Login, StatusCode::IM_A_TEAPOT);
        traffic.count_answer(Endpoint::Health, StatusCode::SERVICE_UNAVAILABLE);
        let told: Vec<_> = traffic.answers().filter(|(_, _, count)| *count > 0).collect();
        let expected = [
            (Endpoint::Login, "200", 1),
            (Endpoint::Login, "other", 1),
            (Endpoint::Health, "503", 1),
        ];
        assert_eq!(told, expected);
        assert_eq!(traffic.totals(), (3, 0, 1));
    }
}
