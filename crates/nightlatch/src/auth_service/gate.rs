//! Who may ask the auth service at this moment: so many at once, nobody while it is known to be away,
//! and not again more often than a part of the traffic.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::Clock;
use nightlatch_resilience::{Backoff, Breaker, BreakerPolicy, CallEnd, Pass, RetryBudget};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::failure::Failure;

/// Logins that ask at once.
const AT_ONCE_MAX: usize = 64;

/// Logins that wait for one of those to end.
const WAITING_MAX: usize = 256;

/// How long they wait: what is left must be enough to be asked in.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// So many in a row without one that was heard, and it is asked by one at a time.
const POLICY: BreakerPolicy = BreakerPolicy {
    backoff: Backoff { base: Duration::from_millis(200), max: Duration::from_secs(2) },
    silent_calls: 5,
    silent_span: Duration::ZERO,
};

/// Retries for a hundred logins, and how many are saved up.
const RETRIES: (u32, u32) = (20, 10);

pub(super) struct Gate {
    places: Semaphore,
    waiting: Semaphore,
    state: Mutex<State>,
}

struct State {
    breaker: Breaker<Failure>,
    budget: RetryBudget,
    retries: Retries,
}

/// What became of those who wanted to ask again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retries {
    /// They did.
    pub made: u64,
    /// They would have been too many.
    pub refused: u64,
    /// How many more may, in hundredths.
    pub left_hundredths: u32,
}

/// The right to ask once. Dropped without a word it has shown nothing: its login was given up.
pub(super) struct Passed<'a> {
    gate: &'a Gate,
    pass: Option<Pass>,
    began: Duration,
}

impl Gate {
    pub(super) fn new() -> Self {
        let (percent, reserve) = RETRIES;
        let budget = RetryBudget::new(percent, reserve);
        Self {
            places: Semaphore::new(AT_ONCE_MAX),
            waiting: Semaphore::new(WAITING_MAX),
            state: Mutex::new(State {
                breaker: Breaker::new(POLICY),
                budget,
                retries: Retries::default(),
            }),
        }
    }

    /// Waits for a place among those who ask.
    pub(super) async fn place(&self, limit: Duration) -> Result<SemaphorePermit<'_>, Failure> {
        self.lock().budget.deposit();
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let _waits = self.waiting.try_acquire().map_err(|_| Failure::crowded())?;
        let place = timeout(limit.min(WAIT_MAX), self.places.acquire()).await;
        place.ok().and_then(Result::ok).ok_or_else(Failure::crowded)
    }

    /// Lets a call through, unless the service is known to be away: then with what is known.
    pub(super) fn admit(&self, clock: &dyn Clock) -> Result<Passed<'_>, Failure> {
        let began = clock.boottime();
        let pass = self.lock().breaker.admit(began)?;
        Ok(Passed { gate: self, pass: Some(pass), began })
    }

    /// Whether somebody may ask once more; then it is counted.
    pub(super) fn may_retry(&self) -> bool {
        let mut state = self.lock();
        let may = state.budget.withdraw();
        let retries = &mut state.retries;
        *(if may { &mut retries.made } else { &mut retries.refused }) += 1;
        may
    }

    /// What became of those who wanted to ask again, since the start.
    pub(super) fn retries(&self) -> Retries {
        let state = self.lock();
        Retries { left_hundredths: state.budget.saved_hundredths(), ..state.retries }
    }

    /// It was heard, though by no login.
    pub(super) fn hear(&self) {
        self.lock().breaker.hear();
    }

    /// Whether logins are told at once that it is away.
    pub(super) fn is_shut(&self) -> bool {
        self.lock().breaker.is_open()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain values: whatever a panicking thread left is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passed<'_> {
    pub(super) fn settle(mut self, outcome: Result<(), &Failure>, now: Duration, random: u64) {
        let end = match outcome {
            Err(failure) if failure.opens_breaker() => CallEnd::Silent(failure.clone()),
            Err(failure) if failure.says_nothing() => CallEnd::Nothing,
            Ok(()) | Err(_) => CallEnd::Answered,
        };
        self.end(end, now, random);
    }

    fn end(&mut self, end: CallEnd<Failure>, now: Duration, random: u64) {
        if let Some(pass) = self.pass.take() {
            self.gate.lock().breaker.settle(pass, end, now, random);
        }
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        let began = self.began;
        self.end(CallEnd::Nothing, began, 0);
    }
}
