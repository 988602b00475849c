//! What is known of the auth service: from logins, and from looks beside them.
//!
//! A look tells whether it is there. Whether it takes logins, and takes them from us, only a login tells,
//! so what a login has found is not unsaid by a look.

use std::time::Duration;

use nightlatch_core::FailureClass;
use nightlatch_resilience::{Dependency, HealthLine};

use super::{AUTH_SERVICE, Health, OptionalStatus};
use crate::auth_service::AuthServiceObserver;
use crate::remedy;

/// What is known of it.
pub(super) struct AuthServiceState {
    service: Dependency,
    /// `None`: as it should be.
    class: Option<FailureClass>,
    /// Whether a look has found that.
    is_by_look: bool,
    /// Logins in a row of which one may have been to blame.
    blamed: u32,
    /// When the newest call that was told had begun; `None`: nothing is known.
    newest: Option<Duration>,
}

impl AuthServiceState {
    pub(super) const fn new() -> Self {
        Self {
            service: Dependency::new(AUTH_SERVICE),
            class: None,
            is_by_look: false,
            blamed: 0,
            newest: None,
        }
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
        self.note_auth_service(outcome, false, span);
    }

    fn looked(&self, outcome: Result<(), FailureClass>, span: (Duration, Duration)) {
        self.note_auth_service(outcome, true, span);
    }
}

impl Health {
    fn note_auth_service(
        &self,
        outcome: Result<(), FailureClass>,
        is_look: bool,
        span: (Duration, Duration),
    ) {
        let now = self.clock.now();
        let mut state = self.lock();
        // What is the matter with the others is told first, and since when.
        let is_first = state.class.or(state.cache_class()).is_none();
        let Some(auth_service) = &mut state.auth_service else { return };
        if !auth_service.is_telling(outcome, is_look) {
            return;
        }
        let was = auth_service.class;
        let line = auth_service.observe(outcome, span);
        auth_service.is_by_look = is_look;
        if is_first && auth_service.class != was {
            state.since = now;
        }
        drop(state);
        if let Some(line) = line {
            self.tell(&line, outcome.err().map(remedy::of_auth_service));
        }
    }
}

impl AuthServiceState {
    /// Whether an outcome says anything of the service.
    fn is_telling(&mut self, outcome: Result<(), FailureClass>, is_look: bool) -> bool {
        match (outcome, is_look) {
            // Whether it takes logins, and ours, only a login tells.
            (Ok(()), true) => self.is_by_look || !self.class.is_some_and(is_of_logins),
            (Ok(()), false) => {
                self.blamed = 0;
                true
            }
            // One login may be to blame for it.
            (Err(class), false) if is_of_logins(class) => {
                self.blamed = self.blamed.saturating_add(1);
                self.blamed >= BLAMED_MIN
            }
            (Err(_), _) => true,
        }
    }
}

/// So many in a row, and it is no single login's doing.
const BLAMED_MIN: u32 = 2;

/// What a service says to a login, and not to a look.
const fn is_of_logins(class: FailureClass) -> bool {
    matches!(
        class,
        FailureClass::AuthFailed
            | FailureClass::Forbidden
            | FailureClass::Missing
            | FailureClass::Protocol
    )
}
