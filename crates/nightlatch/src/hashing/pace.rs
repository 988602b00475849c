//! How long a job takes: on an idle machine, now, and when it is time to worry about it.

use std::time::Duration;

/// What a job takes on an idle machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Measured: what it takes now tells how busy the machine is.
    Measured(Duration),
    /// Only guessed: says nothing about the machine when it is wrong.
    Guessed(Duration),
}

/// A measured job is starved when it runs for three times what it should and this: one that shares
/// its core or its memory with another takes up to twice as long, and is no case for a rescue.
const SLACK: Duration = Duration::from_millis(50);
/// No job is waited for longer than this beyond what it should take, or its rescue comes too late
/// for the five seconds of a login.
const SLACK_MAX: Duration = Duration::from_secs(1);
/// By how much a guess may be wrong before it matters. Somebody may wait for two guesses in a row.
const GUESS_SLACK: Duration = Duration::from_millis(250);

impl Expected {
    /// The time.
    pub(crate) const fn span(self) -> Duration {
        match self {
            Self::Measured(span) | Self::Guessed(span) => span,
        }
    }

    /// How long it runs before it counts as starved.
    pub(super) fn patience(self) -> Duration {
        match self {
            Self::Measured(span) => span + (span * 2 + SLACK).min(SLACK_MAX),
            Self::Guessed(span) => span + GUESS_SLACK,
        }
    }
}

/// How much one finished job moves the estimate.
const WEIGHT: f64 = 0.2;
/// What is believed: jobs take from half to twenty times what they were measured at.
const MIN: f64 = 0.5;
const MAX: f64 = 20.0;

/// How many times longer than expected jobs take now: other processes use the cores too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace(f64);

impl Pace {
    /// Of jobs that have the cores to themselves.
    pub(super) const UNDISTURBED: Self = Self(1.0);
    /// Of jobs that share a core with one other program.
    pub(super) const SHARED: Self = Self(2.0);

    /// Notes what a job took.
    pub(super) fn observe(&mut self, expected: Expected, took: Duration) {
        let Expected::Measured(expected) = expected else { return };
        let ratio = took.as_secs_f64() / expected.as_secs_f64().max(0.001);
        self.0 += WEIGHT * (ratio.clamp(MIN, MAX) - self.0);
    }

    /// What a job takes now.
    pub(super) fn stretch(self, span: Duration) -> Duration {
        span.mul_f64(self.0)
    }

    /// How much of a job's expected time is done in each second.
    pub(super) fn speed(self) -> f64 {
        1.0 / self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn patience_is_some_times_the_cost_and_bounded() {
        for (expected, patience) in [
            (Expected::Measured(millis(15)), 95),
            (Expected::Measured(millis(200)), 650),
            (Expected::Measured(millis(1000)), 2000),
            (Expected::Guessed(millis(15)), 265),
        ] {
            assert_eq!(expected.patience(), millis(patience), "{expected:?}");
        }
    }

    #[test]
    fn pace_follows_what_jobs_take_within_its_bounds() {
        let measured = Expected::Measured(millis(10));
        let mut pace = Pace::UNDISTURBED;
        pace.observe(Expected::Guessed(millis(10)), millis(90_000));
        assert_eq!(pace.stretch(millis(10)), millis(10), "a guess tells nothing");
        for (took, stretched) in [(1, 5), (30, 30), (90_000, 200)] {
            (0..60).for_each(|_| pace.observe(measured, millis(took)));
            let differs = pace.stretch(millis(10)).abs_diff(millis(stretched));
            assert!(differs < millis(1), "{took} ms: {pace:?}");
        }
    }
}
