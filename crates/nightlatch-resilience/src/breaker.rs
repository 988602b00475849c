//! A breaker: a dependency that is known to be away is not asked by everybody.
//!
//! Without one each call finds out for itself, at the price of its own deadline, and a dependency
//! that comes back is met by all who waited. With one the first failures are paid for; after them
//! calls fail at once, with the failure that is known, and one at a time is let through to look
//! whether it is back, at growing, random intervals.
//!
//! A state machine without I/O: calls ask to be admitted, and tell what they have shown. `now` is a
//! point of a clock that never steps, such as the time since boot; chance is an argument.
//!
//! ```
//! use std::time::Duration;
//! use nightlatch_resilience::{Backoff, Breaker, BreakerPolicy, CallEnd};
//!
//! let at = Duration::from_millis;
//! let backoff = Backoff { base: at(50), max: at(1500) };
//! let policy = BreakerPolicy { backoff, silent_calls: 3, silent_span: at(2000) };
//! let mut breaker = Breaker::new(policy);
//!
//! let call = breaker.admit(at(0)).expect("nothing is known against it");
//! let random = u64::MAX / 2 + 1;
//! breaker.settle(call, CallEnd::Failed("refused"), at(1), random);
//! assert_eq!(breaker.admit(at(2)), Err("refused"));
//! // Half of 50 ms later, as chance would have it, one call is let through, and no other.
//! let probe = breaker.admit(at(26)).expect("the wait is over");
//! assert_eq!(breaker.admit(at(27)), Err("refused"));
//! breaker.settle(probe, CallEnd::Answered, at(28), random);
//! assert!(breaker.admit(at(29)).is_ok());
//! ```

use std::time::Duration;

use crate::Backoff;

/// When a breaker opens, and how it probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// The waits between probes.
    pub backoff: Backoff,
    /// This many calls in a row without an answer open it,
    pub silent_calls: u32,
    /// if the first of them began this long ago. A dependency that is merely slower than the most
    /// impatient calls answers the others in between.
    pub silent_span: Duration,
}

/// What a call has shown of the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd<C> {
    /// It answers, if only with an error that concerns this call alone.
    Answered,
    /// It gave no answer in the time that the call had.
    Silent(C),
    /// It cannot be used.
    Failed(C),
    /// Nothing: the call came to its end before it reached the dependency.
    Nothing,
}

/// The right to make one call. It is to be settled, whatever becomes of the call.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a probe that is never settled keeps the breaker open"]
pub struct Pass {
    number: u64,
    began: Duration,
    is_probe: bool,
}

impl Pass {
    /// Whether the dependency is known to be away, and this call looks whether it is back: it
    /// should not wait as long as it might.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.is_probe
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State<C> {
    /// Traffic flows. `silent` calls in a row, the first of which began at `since`, had no answer.
    Closed { silent: u32, since: Duration },
    /// Calls fail at once until `probe_at`.
    Open { cause: C, probes: u32, probe_at: Duration },
    /// The call `probe` is on its way to look; the others fail at once.
    HalfOpen { cause: C, probes: u32, probe: u64 },
}

/// What moves the state.
enum Event<C> {
    Admitted(u64),
    Heard,
    Ended { pass: Pass, end: CallEnd<C>, now: Duration, random: u64 },
}

/// Guards one dependency. `C` is what is told to those who are not let through.
#[derive(Debug)]
pub struct Breaker<C> {
    policy: BreakerPolicy,
    state: State<C>,
    passes: u64,
    /// When the newest call that was answered had begun: what began before it and failed says
    /// nothing new. Its time-out may arrive long after the dependency is back.
    answered: Duration,
}

impl<C: Clone> Breaker<C> {
    /// Closed: nothing is known against the dependency.
    #[must_use]
    pub const fn new(policy: BreakerPolicy) -> Self {
        let state = State::Closed { silent: 0, since: Duration::ZERO };
        Self { policy, state, passes: 0, answered: Duration::ZERO }
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// The cause of the failure that is known; then there is nothing to be settled.
    pub fn admit(&mut self, now: Duration) -> Result<Pass, C> {
        if let Some(cause) = self.refuses(now) {
            return Err(cause.clone());
        }
        let is_probe = self.is_open();
        self.passes += 1;
        self.turn(Event::Admitted(self.passes));
        Ok(Pass { number: self.passes, began: now, is_probe })
    }

    /// The cause that a call would be refused with.
    #[must_use]
    pub fn refuses(&self, now: Duration) -> Option<&C> {
        match &self.state {
            State::Closed { .. } => None,
            State::Open { probe_at, .. } if *probe_at <= now => None,
            State::Open { cause, .. } | State::HalfOpen { cause, .. } => Some(cause),
        }
    }

    /// A call that was let through has ended. `random` spreads the next wait.
    pub fn settle(&mut self, pass: Pass, end: CallEnd<C>, now: Duration, random: u64) {
        if matches!(end, CallEnd::Answered) {
            self.answered = self.answered.max(pass.began);
        }
        self.turn(Event::Ended { pass, end, now, random });
    }

    /// A call that was given up, and settled, has been answered after all.
    pub fn hear(&mut self) {
        self.turn(Event::Heard);
    }

    /// Whether calls other than probes fail at once.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    /// The one place where the state changes.
    #[expect(clippy::match_same_arms, reason = "an arm is an edge of the diagram")]
    fn turn(&mut self, event: Event<C>) {
        let answered = self.answered;
        let state =
            std::mem::replace(&mut self.state, State::Closed { silent: 0, since: answered });
        self.state = match (state, event) {
            // Closed → Closed: calls pass.
            (closed @ State::Closed { .. }, Event::Admitted(_)) => closed,
            // Open → HalfOpen: the wait is over, and this call looks.
            (State::Open { cause, probes, .. }, Event::Admitted(number)) => {
                State::HalfOpen { cause, probes, probe: number }
            }
            // HalfOpen → HalfOpen: `admit` lets nobody through while a probe is on its way.
            (half_open @ State::HalfOpen { .. }, Event::Admitted(_)) => half_open,

            // Any → Closed: it answers. Whoever asked: a late answer proves it as well.
            (_, Event::Heard | Event::Ended { end: CallEnd::Answered, .. }) => {
                State::Closed { silent: 0, since: answered }
            }

            // Closed → Closed: what failed had begun before another call that was answered.
            (closed @ State::Closed { .. }, Event::Ended { pass, .. }) if pass.began < answered => {
                closed
            }
            // Closed → Closed: the call never came so far.
            (closed @ State::Closed { .. }, Event::Ended { end: CallEnd::Nothing, .. }) => closed,
            // Closed → Open: it cannot be used, and no other call would fare better.
            (
                State::Closed { .. },
                Event::Ended { end: CallEnd::Failed(cause), now, random, .. },
            ) => self.open(cause, 0, now, random),
            // Closed → Closed, or Open: one deadline may have been too short; several in a row over
            // some time are the dependency's silence.
            (
                State::Closed { silent, since },
                Event::Ended { pass, end: CallEnd::Silent(cause), now, random },
            ) => {
                let since = if silent == 0 { pass.began } else { since.min(pass.began) };
                let silent = silent.saturating_add(1);
                let long = now.saturating_sub(since) >= self.policy.silent_span;
                if silent < self.policy.silent_calls || !long {
                    State::Closed { silent, since }
                } else {
                    self.open(cause, 0, now, random)
                }
            }

            // HalfOpen → Open: the probe found it as it was, so the next one waits longer.
            (
                State::HalfOpen { probes, probe, .. },
                Event::Ended {
                    pass,
                    end: CallEnd::Failed(cause) | CallEnd::Silent(cause),
                    now,
                    random,
                },
            ) if pass.number == probe => self.open(cause, probes.saturating_add(1), now, random),
            // HalfOpen → Open: the probe never came so far; the next call looks instead.
            (
                State::HalfOpen { cause, probes, probe },
                Event::Ended { pass, end: CallEnd::Nothing, now, .. },
            ) if pass.number == probe => State::Open { cause, probes, probe_at: now },

            // Open → Open, HalfOpen → HalfOpen: calls from before it opened say nothing new.
            (same @ (State::Open { .. } | State::HalfOpen { .. }), Event::Ended { .. }) => same,
        };
    }

    /// Open after the probe number `probes`, or after none.
    fn open(&self, cause: C, probes: u32, now: Duration, random: u64) -> State<C> {
        let wait = self.policy.backoff.delay(probes, random);
        State::Open { cause, probes, probe_at: now.saturating_add(wait) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy {
        backoff: Backoff { base: Duration::from_millis(50), max: Duration::from_millis(1500) },
        silent_calls: 3,
        silent_span: Duration::from_secs(2),
    };

    /// Full jitter at its longest: a hair below the ceiling.
    const LONGEST: u64 = u64::MAX;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn breaker() -> Breaker<&'static str> {
        Breaker::new(POLICY)
    }

    fn failed_at(millis: u64) -> Breaker<&'static str> {
        let mut breaker = breaker();
        let call = breaker.admit(at(millis)).expect("it is closed");
        breaker.settle(call, CallEnd::Failed("refused"), at(millis), LONGEST);
        breaker
    }

    /// Calls that begin at the first time and end at the second; whether it is open then.
    fn opened_by(calls: &[(u64, u64, CallEnd<&'static str>)]) -> bool {
        let mut breaker = breaker();
        for (began, ended, end) in calls {
            let call = breaker.admit(at(*began)).expect("it is closed");
            breaker.settle(call, *end, at(*ended), LONGEST);
        }
        breaker.is_open()
    }

    #[test]
    fn it_opens_on_one_failure_and_on_a_silence_that_lasts() {
        let silent = CallEnd::Silent("timeout");
        for (what, calls, opens) in [
            ("an answer", vec![(0, 1, CallEnd::Answered)], false),
            ("a failure", vec![(0, 1, CallEnd::Failed("refused"))], true),
            ("nothing", vec![(0, 1, CallEnd::Nothing); 9], false),
            ("two deadlines", vec![(0, 2000, silent), (2000, 4000, silent)], false),
            ("many at once", vec![(0, 400, silent); 50], false),
            (
                "several over some time",
                vec![(0, 400, silent), (900, 1300, silent), (1600, 2000, silent)],
                true,
            ),
            ("many that began together", vec![(0, 2000, silent); 3], true),
            (
                "an answer in between",
                vec![
                    (0, 400, silent),
                    (900, 1300, silent),
                    (1400, 1900, CallEnd::Answered),
                    (1900, 2300, silent),
                    (1900, 2300, silent),
                ],
                false,
            ),
            (
                "a failure that began before what was answered",
                vec![(5, 6, CallEnd::Answered), (4, 9000, CallEnd::Failed("timeout"))],
                false,
            ),
        ] {
            assert_eq!(opened_by(&calls), opens, "{what}");
        }
    }

    #[test]
    fn while_open_all_are_told_the_cause_and_one_at_a_time_probes() {
        let mut breaker = failed_at(0);
        for millis in [0, 10, 49] {
            assert_eq!(breaker.admit(at(millis)), Err("refused"));
        }
        let probe = breaker.admit(at(50)).expect("the wait is over");
        assert!(probe.is_probe());
        assert_eq!(breaker.admit(at(60_000)), Err("refused"), "one probe at a time");
        breaker.settle(probe, CallEnd::Silent("timeout"), at(60_000), LONGEST);
        assert_eq!(breaker.admit(at(60_099)), Err("timeout"), "the newest cause is told");
        let probe = breaker.admit(at(60_100)).expect("the wait is over");
        breaker.settle(probe, CallEnd::Answered, at(60_101), LONGEST);
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_probe_that_never_came_so_far_leaves_its_turn_to_the_next_call() {
        let mut breaker = failed_at(0);
        for _ in 0..5 {
            let probe = breaker.admit(at(50)).expect("it is somebody's turn");
            breaker.settle(probe, CallEnd::Nothing, at(50), LONGEST);
        }
        assert!(breaker.is_open());
    }

    #[test]
    fn calls_from_before_neither_lengthen_the_wait_nor_end_the_probe() {
        let mut breaker = breaker();
        let early: Vec<_> = (0..9).map(|_| breaker.admit(at(0)).expect("it is closed")).collect();
        for call in early {
            breaker.settle(call, CallEnd::Failed("refused"), at(1), LONGEST);
        }
        let late = breaker.admit(at(51)).expect("only the first failure set the wait");
        breaker.settle(late, CallEnd::Failed("refused"), at(51), LONGEST);
        let mut breaker = failed_at(0);
        breaker.state = State::Closed { silent: 0, since: at(0) };
        let straggler = breaker.admit(at(1)).expect("it is closed");
        let opener = breaker.admit(at(1)).expect("it is closed");
        breaker.settle(opener, CallEnd::Failed("refused"), at(2), LONGEST);
        let probe = breaker.admit(at(60)).expect("the wait is over");
        breaker.settle(straggler, CallEnd::Failed("reset"), at(61), LONGEST);
        assert_eq!(breaker.admit(at(9999)), Err("refused"), "the probe is still on its way");
        breaker.settle(probe, CallEnd::Answered, at(10_000), LONGEST);
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_late_answer_closes_it() {
        let mut breaker = breaker();
        let slow = breaker.admit(at(0)).expect("it is closed");
        let refused = breaker.admit(at(0)).expect("it is closed");
        breaker.settle(refused, CallEnd::Failed("refused"), at(1), LONGEST);
        breaker.settle(slow, CallEnd::Answered, at(2), LONGEST);
        assert!(!breaker.is_open());
        let mut breaker = failed_at(0);
        breaker.hear();
        assert!(!breaker.is_open());
    }

    /// However eager the callers and whatever the luck: under two probes a second on average, and
    /// none comes later than 1.5 s after the one before.
    #[test]
    fn probes_are_few_and_never_far_apart() {
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut probes = Vec::new();
        let mut breaker = failed_at(0);
        for millis in 0..60_000 {
            if let Ok(probe) = breaker.admit(at(millis)) {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                breaker.settle(probe, CallEnd::Failed("refused"), at(millis), random);
                probes.push(millis);
            }
        }
        assert!((60..=120).contains(&probes.len()), "{} probes in 60 s", probes.len());
        assert!(probes.windows(2).all(|pair| pair[1] - pair[0] <= 1500));
    }
}
