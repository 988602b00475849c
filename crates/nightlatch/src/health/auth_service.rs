//! What is known of the auth service: from logins, and from looks beside them.
//!
//! A look tells whether it is there. Whether it takes logins, and takes them from us, only a login tells,
//! so what a login has found is not unsaid by a look.

use std::time::Duration;

use nightlatch_core::FailureClass;
use nightlatch_resilience::{Dependency, HealthLine};

use super::{AUTH_SERVICE, Health, OptionalStatus, remedy, tell};
use crate::auth_service::AuthServiceObserver;

/// What is known of it.
pub(super) struct AuthServiceState {
    service: Dependency,
    /// `None`: as it should be.
    class: Option<FailureClass>,
    /// When the newest call that was told had begun; `None`: nothing is known.
    newest: Option<Duration>,
}

impl AuthServiceState {
    pub(super) const fn new() -> Self {
        Self { service: Dependency::new(AUTH_SERVICE), class: None, newest: None }
    }

    pub(super) const fn class(&self) -> Option<FailureClass> {
        self.class
    }

    pub(super) fn status(&self) -> OptionalStatus {
        match (self.class, self.newest) {
            (Some(class), _) => OptionalStatus::Failed(class.as_str()),
            (None, None) => OptionalStatus::Unknown,
            (None, Some(_)) => OptionalStatus::Connected,
        }
    }

    /// A call has told something; a line, if there is one to be told.
    fn observe(
        &mut self,
        outcome: Result<(), FailureClass>,
        (began, ended): (Duration, Duration),
    ) -> Option<HealthLine> {
        // What had begun before says nothing new: its time-out may come long after an answer.
        if self.newest.is_none_or(|newest| newest <= began) {
            self.newest = Some(began);
            self.class = outcome.err();
        }
        self.service.observe(outcome.map_err(FailureClass::as_str), began, ended)
    }
}

impl AuthServiceObserver for Health {
    fn asked(&self, outcome: Result<(), FailureClass>, span: (Duration, Duration)) {
        let now = self.clock.now();
        let mut state = self.lock();
        // What is the matter with the others is told first, and since when.
        let is_first = state.class.or(state.cache_class()).is_none();
        let Some(auth_service) = &mut state.auth_service else { return };
        let was = auth_service.class;
        let line = auth_service.observe(outcome, span);
        if is_first && auth_service.class != was {
            state.since = now;
        }
        drop(state);
        if let Some(line) = line {
            tell(&line, outcome.err().and_then(remedy::of_auth_service));
        }
    }

    fn looked(&self, span: (Duration, Duration)) {
        let is_of_logins = self.lock().auth_service_class().is_some_and(|class| {
            matches!(
                class,
                FailureClass::AuthFailed
                    | FailureClass::Forbidden
                    | FailureClass::Missing
                    | FailureClass::Protocol
            )
        });
        if !is_of_logins {
            self.asked(Ok(()), span);
        }
    }
}
