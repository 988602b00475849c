//! The last known state of what is beneath: fed by a prober, read by everybody, asked by nobody.
//!
//! A health check that asks hangs with whatever hangs, so answers come from what is known.

mod auth_service;
mod cache;
mod changes;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use nightlatch_core::coherence::LEASE;
use nightlatch_core::{
    Deadline, FailureClass, LookupFailures, RecordClock, RecordStore as _, Timestamp,
};
use nightlatch_resilience::Dependency;
use nightlatch_store::cached::{CachedRecord, CopiesState, Look, LookObserver};
use tokio_util::sync::CancellationToken;

use auth_service::AuthServiceState;
use cache::CacheState;
pub(crate) use changes::Change;
use changes::Changes;

use crate::remedy::{self, Remedy};

/// Its name among the dependencies.
pub(crate) const AUTH_SERVICE: &str = "auth_service";

/// How long a start may take before the record is asked all the same.
const START_GRACE: Duration = Duration::from_secs(2);

/// An answer later than this is `slow`.
const SLOW_FROM: Duration = Duration::from_millis(250);

/// How often the record is asked for what it could not look up.
const LOOKUPS_EVERY: Duration = Duration::from_secs(1);

/// The longest that takes.
const LOOKUPS_DEADLINE: Duration = Duration::from_millis(1500);

/// A wall clock further than this from record time is told.
const SKEW_MAX: Duration = Duration::from_secs(2);

/// The state of a node and of what it stands on.
pub struct Health {
    clock: Arc<RecordClock>,
    state: Mutex<State>,
    changes: Changes,
    copies: OnceLock<Arc<CachedRecord>>,
    throttling_disabled: bool,
}

struct State {
    database: Dependency,
    /// Down, or up but slow; `None`: as it should be.
    class: Option<FailureClass>,
    /// Whether the record answers.
    answers: bool,
    /// Why it takes no changes.
    write_failure: Option<FailureClass>,
    /// Why it serves no look-ups, though it answers.
    lookups: LookupFailures,
    cache: Option<CacheState>,
    auth_service: Option<AuthServiceState>,
    stopping: bool,
    since: Timestamp,
}

/// What is configured of what need not be there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Optional {
    /// Redis.
    pub redis: bool,
    /// An auth service.
    pub auth_service: bool,
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

/// How it is with a dependency that need not be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionalStatus {
    /// There is none.
    Disabled,
    /// Not known yet.
    Unknown,
    /// As it should be.
    Connected,
    /// Failed in this way.
    Failed(&'static str),
}

/// A dependency that fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing {
    /// By its name among the dependencies.
    pub(crate) dependency: &'static str,
    /// In this way.
    pub(crate) class: FailureClass,
    /// And what to do about it.
    pub(crate) remedy: Remedy,
}

/// The state at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// In one word.
    pub status: Status,
    /// The class of the record's failure, if any.
    pub database_class: Option<&'static str>,
    /// How it is with Redis.
    pub cache: OptionalStatus,
    /// How it is with the auth service.
    pub auth_service: OptionalStatus,
    /// What fails, and what to do about it.
    pub(crate) failing: Vec<Failing>,
    /// Since when the status is what it is.
    pub since: Timestamp,
    /// How far the wall clock is from record time.
    pub clock_skew: Duration,
    /// For how long the record has not confirmed what is known of revocations, where that is longer
    /// than it should be.
    pub staleness: Duration,
    /// How long ago the look at the feed began that confirmed what is known of revocations.
    pub feed_lag: Option<Duration>,
    /// How often the record was found to have gone back in time.
    pub forks: u64,
    /// What an operator should know.
    pub warnings: Vec<&'static str>,
}

impl Snapshot {
    /// How it is with each dependency.
    pub(crate) fn dependencies(&self) -> [(&'static str, OptionalStatus); 3] {
        let database =
            self.database_class.map_or(OptionalStatus::Connected, OptionalStatus::Failed);
        [("database", database), ("redis", self.cache), (AUTH_SERVICE, self.auth_service)]
    }

    /// Those of which something is known, each with the class of its failure, if it fails.
    pub(crate) fn states(
        &self,
    ) -> impl Iterator<Item = (&'static str, Option<&'static str>)> + use<> {
        self.dependencies().into_iter().filter_map(|(name, status)| match status {
            OptionalStatus::Disabled | OptionalStatus::Unknown => None,
            OptionalStatus::Connected => Some((name, None)),
            OptionalStatus::Failed(class) => Some((name, Some(class))),
        })
    }
}

impl Health {
    /// Nothing is known yet, so nothing is served.
    #[must_use]
    pub fn new(clock: Arc<RecordClock>, has: Optional, throttling_disabled: bool) -> Self {
        let since = clock.now();
        let state = State {
            database: Dependency::new("database"),
            class: Some(FailureClass::Unreachable),
            answers: false,
            write_failure: None,
            lookups: LookupFailures::default(),
            cache: has.redis.then(CacheState::new),
            auth_service: has.auth_service.then(AuthServiceState::new),
            stopping: false,
            since,
        };
        Self {
            clock,
            state: Mutex::new(state),
            changes: Changes::default(),
            copies: OnceLock::new(),
            throttling_disabled,
        }
    }

    /// Dependencies that are away at this moment.
    #[must_use]
    pub fn degraded(&self) -> Vec<&'static str> {
        let state = self.lock();
        state.failing().map(|failing| failing.dependency).collect()
    }

    /// Whether session checks can be served and no stop has begun.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let copies = self.copies_state();
        let state = self.lock();
        state.serves_checks(copies) && !state.stopping
    }

    /// From now on not ready.
    pub fn stop(&self) {
        self.lock().stopping = true;
    }

    /// How it is.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let copies = self.copies_state();
        let state = self.lock();
        let clock_skew = self.clock.skew();
        let mut warnings = Vec::new();
        if self.throttling_disabled {
            warnings.push("throttling_disabled");
        }
        if clock_skew > SKEW_MAX {
            warnings.push("clock_skew");
        }
        let serves = state.serves_checks(copies) || state.serves_logins();
        let failure = state.class.or(state.cache_class()).or(state.auth_service_class());
        let status = match (serves, failure, warnings.is_empty()) {
            (false, _, _) => Status::Unhealthy,
            (true, Some(_), _) | (true, None, false) => Status::Degraded,
            (true, None, true) => Status::Healthy,
        };
        let unconfirmed = copies.and_then(|copies| copies.unconfirmed_for);
        Snapshot {
            status,
            database_class: state.class.map(FailureClass::as_str),
            cache: state.cache.as_ref().map_or(OptionalStatus::Disabled, CacheState::status),
            auth_service: state
                .auth_service
                .as_ref()
                .map_or(OptionalStatus::Disabled, AuthServiceState::status),
            failing: state.failing().collect(),
            since: state.since.min(now),
            clock_skew,
            staleness: unconfirmed.filter(|age| *age > LEASE).unwrap_or_default(),
            feed_lag: unconfirmed,
            forks: copies.map_or(0, |copies| copies.forks),
            warnings,
        }
    }

    /// Follows the record through its copies, and learns from every look how it is; the caller ends
    /// it by dropping it. Begins when the start has tried to use the record for the first time:
    /// before, a new one has no schema to ask.
    pub async fn watch(self: Arc<Self>, copies: Arc<CachedRecord>, tried: CancellationToken) {
        let copies = self.copies.get_or_init(|| copies);
        let _ = tokio::time::timeout(START_GRACE, tried.cancelled()).await;
        tokio::join!(copies.tail(&*self), self.follow_lookups(copies));
    }

    /// A record may answer the look at its feed and none of its requests.
    async fn follow_lookups(&self, record: &CachedRecord) {
        loop {
            tokio::time::sleep(LOOKUPS_EVERY).await;
            // Who answers nothing is looked at already.
            if !self.lock().answers {
                continue;
            }
            let deadline = Deadline::within(self.clock.clock(), LOOKUPS_DEADLINE);
            let failures = record.probe_lookups(deadline).await;
            self.lock().lookups = failures;
        }
    }

    /// `None` before the start has come to the record.
    fn copies_state(&self) -> Option<CopiesState> {
        let copies = self.copies.get()?;
        // Whoever asks for health wants to know how it is now: an idle node looks more often.
        copies.note_use();
        Some(copies.copies_state())
    }

    /// What a look at the record has told: why it takes no changes, and whether it is slow; or why
    /// it does not answer.
    fn observe(
        &self,
        told: Result<(Option<FailureClass>, Option<FailureClass>), FailureClass>,
        (asked, answered): (Duration, Duration),
    ) {
        let now = self.clock.now();
        let mut state = self.lock();
        let (answers, write_failure) = (told.is_ok(), told.ok().and_then(|(failure, _)| failure));
        let class = match told {
            Ok((_, slow)) => state.lookups.some.or(write_failure).or(slow),
            Err(class) => Some(class),
        };
        if state.class != class || state.answers != answers {
            state.since = now;
        }
        state.class = class;
        state.answers = answers;
        state.write_failure = write_failure;
        let outcome = class.map_or(Ok(()), |class| Err(class.as_str()));
        let line = state.database.observe(outcome, asked, answered);
        drop(state);
        if let Some(line) = line {
            self.tell(&line, class.map(remedy::of_database));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LookObserver for Health {
    fn looked(&self, look: &Look<'_>) {
        let took = look.answered.saturating_sub(look.asked);
        if let Ok(news) = look.answer {
            self.clock.observe(news.now, look.asked, look.answered);
        }
        if look.forked {
            tracing::error!(
                event = "record.history_forked",
                "the database went back in time: what this node remembers of logouts is written back"
            );
        }
        let slow = (took >= SLOW_FROM).then_some(FailureClass::Slow);
        let told = match look.answer {
            Ok(news) => Ok((news.write_failure, slow)),
            Err(error) => {
                tracing::debug!(event = "dependency.look_failed", error = %error);
                Err(error.class())
            }
        };
        self.observe(told, (look.asked, look.answered));
    }
}

impl State {
    fn cache_class(&self) -> Option<FailureClass> {
        self.cache.as_ref().and_then(CacheState::class)
    }

    fn auth_service_class(&self) -> Option<FailureClass> {
        self.auth_service.as_ref().and_then(AuthServiceState::class)
    }

    /// What fails, the record first.
    fn failing(&self) -> impl Iterator<Item = Failing> + use<> {
        let failing = |dependency, class: Option<FailureClass>, remedy: fn(_) -> Remedy| {
            class.map(|class| Failing { dependency, class, remedy: remedy(class) })
        };
        let database = failing("database", self.class, remedy::of_database);
        let redis = failing("redis", self.cache_class(), remedy::of_redis);
        let auth_service =
            failing(AUTH_SERVICE, self.auth_service_class(), remedy::of_auth_service);
        [database, redis, auth_service].into_iter().flatten()
    }

    /// Whether session checks can be served: by the record, or from copies.
    fn serves_checks(&self, copies: Option<CopiesState>) -> bool {
        let by_record = self.answers && self.lookups.sessions.is_none();
        by_record || copies.is_some_and(|copies| copies.serves)
    }

    /// Whether logins can be served, which the record alone can do.
    fn serves_logins(&self) -> bool {
        let LookupFailures { credentials, .. } = self.lookups;
        self.answers && credentials.or(self.write_failure).is_none()
    }
}
