//! What verifying costs on this machine, by kind of hash.
//!
//! Two things stand on it: how long a login would wait for a thread, and the span at whose
//! multiples every failed login is answered. The latter must cover the dearest kind in the record,
//! or the time of an answer would tell whose hash was imported.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use nightlatch_core::HashKind;
use rustix::time::{ClockId, clock_gettime};

use super::pace::Expected;
use super::stored::argon2::today_kind;

/// The most kinds of imported hashes that are told apart. A record that was imported into twice
/// holds three or four; this bounds what a damaged one can do.
const KINDS_MAX: usize = 64;

/// What a hash is taken to cost until today's is measured, which happens within the first moments.
const GUESS: Duration = Duration::from_millis(50);

/// Failed logins are answered at multiples of this, or of several of it.
const SPAN_STEP: Duration = Duration::from_millis(50);

/// What `work` takes of a core, however long this thread waits for one meanwhile: on a busy machine
/// a hash does not cost more, and failed logins need not be held back for longer.
pub(super) fn measure<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let core_time = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        // It counts from the start of the thread and stays far below the end of either number.
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
    };
    let began = core_time();
    let done = work();
    (done, core_time().saturating_sub(began))
}

/// The measured costs.
#[derive(Default)]
pub(super) struct Costs(Mutex<Measured>);

#[derive(Default)]
struct Measured {
    today: Option<Duration>,
    by_kind: BTreeMap<HashKind, Duration>,
}

impl Costs {
    /// What today's hash takes.
    pub(super) fn of_today(&self) -> Expected {
        self.lock().today.map_or(Expected::Guessed(GUESS), Expected::Measured)
    }

    /// What verifying a hash of this kind takes. Kinds that were never measured are taken for
    /// today's: unusable hashes are answered with its work.
    pub(super) fn of(&self, kind: &HashKind) -> Expected {
        let measured = self.lock();
        match measured.by_kind.get(kind) {
            Some(cost) => Expected::Measured(*cost),
            None => Expected::Guessed(measured.today.unwrap_or(GUESS)),
        }
    }

    /// Whether this kind still has to be measured, and there is room for it.
    pub(super) fn wants(&self, kind: &HashKind) -> bool {
        let measured = self.lock();
        measured.by_kind.len() < KINDS_MAX && !measured.by_kind.contains_key(kind)
    }

    /// Notes what today's hash takes.
    pub(super) fn learn_today(&self, cost: Duration) {
        let mut measured = self.lock();
        measured.today = Some(cost);
        measured.by_kind.insert(today_kind(), cost);
    }

    /// Notes what a kind takes.
    pub(super) fn learn(&self, kind: HashKind, cost: Duration) {
        let mut measured = self.lock();
        if measured.by_kind.len() < KINDS_MAX {
            measured.by_kind.insert(kind, cost);
        }
    }

    /// The dearest kind's cost, rounded up to [`SPAN_STEP`].
    pub(super) fn failed_login_span(&self) -> Duration {
        let measured = self.lock();
        // Until today's is known, twice the guess leaves room for a slower machine.
        let today = measured.today.unwrap_or(GUESS * 2);
        let dearest = measured.by_kind.values().copied().fold(today, Duration::max);
        let steps = dearest.as_micros().div_ceil(SPAN_STEP.as_micros()).max(1);
        SPAN_STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().expect("nothing panics while it holds the costs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn span_is_the_dearest_cost_rounded_up_to_50_ms() {
        for (today, imported, span) in [
            (17, None, 50),
            (50, None, 50),
            (51, None, 100),
            (17, Some(3), 50),
            (17, Some(212), 250),
        ] {
            let costs = Costs::default();
            costs.learn_today(millis(today));
            if let Some(imported) = imported {
                costs.learn(HashKind("$2b$12".to_owned()), millis(imported));
            }
            assert_eq!(costs.failed_login_span(), millis(span), "{today} {imported:?}");
        }
        assert_eq!(Costs::default().failed_login_span(), millis(100));
    }

    #[test]
    fn number_of_kinds_is_bounded() {
        let costs = Costs::default();
        for cost in 0..1000 {
            costs.learn(HashKind(format!("pbkdf2_sha256${cost}")), millis(1));
        }
        assert_eq!(costs.lock().by_kind.len(), KINDS_MAX);
        assert!(!costs.wants(&HashKind("$2b$12".to_owned())));
    }
}
