//! A breaker around calls: asked before each, told after it.
//!
//! A caller may leave in the middle of a call, so what a call has shown is told by a value that
//! tells it when it is dropped, too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightlatch_core::{Clock, Deadline, Entropy};
use nightlatch_resilience::{Backoff, Breaker, BreakerPolicy, CallEnd, Pass};

use super::failure::Cause;

/// A server that is back is found within 1.5 s of being asked, and while it is away it is tried
/// less than twice a second: half of 1.5 s apart on average.
const POLICY: BreakerPolicy = BreakerPolicy {
    backoff: Backoff { base: Duration::from_millis(50), max: Duration::from_millis(1500) },
    silent_calls: 2,
    // A server that is too slow for session checks, and still fast enough for logins, is heard in
    // between, if only late; and one that is silent is known before the first login gives up.
    silent_span: Duration::from_millis(1500),
};

/// The longest that a probe is waited for. It is one of the calls that people wait for, and those
/// are told at once what is known.
pub(super) const PROBE_SPAN: Duration = Duration::from_millis(750);

/// Guards one kind of call.
pub(super) struct Guard {
    breaker: Mutex<Breaker<Cause>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Guard {
    pub(super) fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { breaker: Mutex::new(Breaker::new(POLICY)), clock, entropy }
    }

    /// Lets a call through, or says at once why it would fail.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Admitted, Cause> {
        let pass = self.with_breaker(Breaker::admit)?;
        let is_probe = pass.is_probe();
        Ok(Admitted { guard: Arc::clone(self), pass: Some(pass), is_probe })
    }

    /// Why a call would not be let through.
    pub(super) fn refuses(&self) -> Option<Cause> {
        self.with_breaker(|breaker, now| breaker.refuses(now).copied())
    }

    /// Whether it is known that nobody answers.
    pub(super) fn is_open(&self) -> bool {
        self.with_breaker(|breaker, _| breaker.is_open())
    }

    /// A call that was given up has been answered after all.
    pub(super) fn hear(&self) {
        self.with_breaker(|breaker, _| breaker.hear());
    }

    fn settle(&self, pass: Pass, end: CallEnd<Cause>) {
        let random = self.entropy.bits();
        self.with_breaker(|breaker, now| breaker.settle(pass, end, now, random));
    }

    fn with_breaker<T>(&self, act: impl FnOnce(&mut Breaker<Cause>, Duration) -> T) -> T {
        let now = self.clock.boottime();
        act(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

/// A call that was let through. Dropped without a word, it has had no answer while it was wanted.
pub(super) struct Admitted {
    guard: Arc<Guard>,
    pass: Option<Pass>,
    is_probe: bool,
}

impl Admitted {
    /// How long it may be waited for, if that is less than until `deadline`.
    pub(super) fn limit(&self, deadline: Deadline) -> Deadline {
        if self.is_probe { deadline.at_most(&*self.guard.clock, PROBE_SPAN) } else { deadline }
    }

    pub(super) const fn is_probe(&self) -> bool {
        self.is_probe
    }

    pub(super) fn settle(mut self, end: CallEnd<Cause>) {
        if let Some(pass) = self.pass.take() {
            self.guard.settle(pass, end);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.guard.settle(pass, CallEnd::Silent(Cause::SILENCE));
        }
    }
}
