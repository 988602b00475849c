//! The last known state of what is beneath: fed by a prober, read by everybody, asked by nobody.
//!
//! A health check that asks hangs with whatever hangs, so answers come from what is known.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{Deadline, FailureClass, Record, RecordClock, Timestamp};
use nightlatch_resilience::{Dependency, HealthLine, HealthState};
use tokio_util::sync::CancellationToken;

/// How often the record is asked how it is.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// How long a start may take before the record is asked all the same.
const START_GRACE: Duration = Duration::from_secs(2);

/// The longest a probe waits.
const PROBE_DEADLINE: Duration = Duration::from_millis(1500);

/// An answer later than this is `slow`.
const SLOW_FROM: Duration = Duration::from_millis(250);

/// A wall clock further than this from record time is told.
const SKEW_MAX: Duration = Duration::from_secs(2);

/// The state of a node and of what it stands on.
pub struct Health {
    clock: Arc<RecordClock>,
    state: Mutex<State>,
    throttling_disabled: bool,
}

struct State {
    database: Dependency,
    /// Down, or up but slow; `None`: as it should be.
    class: Option<FailureClass>,
    serves: bool,
    stopping: bool,
    since: Timestamp,
}

/// How it is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Healthy,
    /// Serves, with less.
    Degraded,
    /// Serves neither logins nor session checks.
    Unhealthy,
}

impl Status {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The state at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// In one word.
    pub status: Status,
    /// The class of the record's failure, if any.
    pub database_class: Option<&'static str>,
    /// Since when the status is what it is.
    pub since: Timestamp,
    /// How far the wall clock is from record time.
    pub clock_skew: Duration,
    /// What an operator should know.
    pub warnings: Vec<&'static str>,
}

impl Health {
    /// Nothing is known yet, so nothing is served.
    #[must_use]
    pub fn new(clock: Arc<RecordClock>, throttling_disabled: bool) -> Self {
        let since = clock.now();
        let state = State {
            database: Dependency::new("database"),
            class: Some(FailureClass::Unreachable),
            serves: false,
            stopping: false,
            since,
        };
        Self { clock, state: Mutex::new(state), throttling_disabled }
    }

    /// Dependencies that are away at this moment.
    #[must_use]
    pub fn degraded(&self) -> Vec<&'static str> {
        self.lock().class.map(|_| "database").into_iter().collect()
    }

    /// Whether session checks can be served and no stop has begun.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let state = self.lock();
        state.serves && !state.stopping
    }

    /// From now on not ready.
    pub fn stop(&self) {
        self.lock().stopping = true;
    }

    /// How it is.
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let state = self.lock();
        let clock_skew = self.clock.skew();
        let mut warnings = Vec::new();
        if self.throttling_disabled {
            warnings.push("throttling_disabled");
        }
        if clock_skew > SKEW_MAX {
            warnings.push("clock_skew");
        }
        let status = match (state.serves, state.class, warnings.is_empty()) {
            (false, _, _) => Status::Unhealthy,
            (true, Some(_), _) | (true, None, false) => Status::Degraded,
            (true, None, true) => Status::Healthy,
        };
        Snapshot {
            status,
            database_class: state.class.map(FailureClass::as_str),
            since: state.since.min(now),
            clock_skew,
            warnings,
        }
    }

    /// Asks the record how it is, again and again; the caller ends it by dropping it. Begins when the
    /// start has tried to use it for the first time: before, a new record has no schema to ask.
    pub async fn watch(self: Arc<Self>, record: Arc<dyn Record>, tried: CancellationToken) {
        let _ = tokio::time::timeout(START_GRACE, tried.cancelled()).await;
        loop {
            self.probe(&*record).await;
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    async fn probe(&self, record: &dyn Record) {
        let asked = self.clock.clock().boottime();
        let deadline = Deadline::within(self.clock.clock(), PROBE_DEADLINE);
        let answer = record.probe(deadline).await;
        let answered = self.clock.clock().boottime();
        let took = answered.saturating_sub(asked);
        if let Ok(probe) = &answer
            && let Some(now) = probe.now
        {
            // The database read its clock somewhere between question and answer.
            self.clock.observe(now, asked + took / 2);
        }
        let slow = (took >= SLOW_FROM).then_some(FailureClass::Slow);
        let (serves, class) = match answer {
            Ok(probe) => (true, probe.write_failure.or(slow)),
            Err(error) => {
                tracing::debug!(event = "dependency.probe_failed", error = %error);
                (false, Some(error.class()))
            }
        };
        self.observe(serves, class, asked, answered);
    }

    /// `class` may be set while it serves: it is slow, or takes no changes.
    fn observe(
        &self,
        serves: bool,
        class: Option<FailureClass>,
        asked: Duration,
        answered: Duration,
    ) {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.class != class || state.serves != serves {
            state.since = now;
        }
        state.class = class;
        state.serves = serves;
        let outcome = class.map_or(Ok(()), |class| Err(class.as_str()));
        let line = state.database.observe(outcome, asked, answered);
        drop(state);
        if let Some(line) = line {
            tell(&line);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line for a change of state, or for several within ten seconds.
fn tell(line: &HealthLine) {
    let HealthLine { dependency, changes, .. } = *line;
    let was_down_s = line.was_down_for.map(|span| span.as_secs());
    match line.state {
        HealthState::Up | HealthState::Unknown => {
            tracing::info!(event = "dependency.up", dependency, changes, was_down_s);
        }
        HealthState::Down { class } => {
            tracing::warn!(event = "dependency.down", dependency, class, changes);
        }
    }
}
