//! The queue before the hashing threads: bounded, and honest about how long it is.
//!
//! A login that would wait longer than its deadline is told so at once, with the time when it will
//! be let in, instead of taking the place of one that can still be answered. Jobs whose deadline
//! has passed or whose caller has gone are thrown away when their turn comes.
//!
//! The threads run only when nobody else wants the cores. Where somebody always does, they get
//! nothing, and a job would hang in one of them until its deadline: the lifeguard, one thread of
//! normal priority, is given the jobs that are starved so.

mod state;

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use nightlatch_core::{Clock, Deadline, HashError};

pub use self::state::PoolState;
use self::state::{Popped, State};
use super::memory::Memory;
use super::pace::Expected;

/// The shortest wait that a refused caller is told: `Retry-After` counts in seconds.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// The longest: more would be a guess about strangers.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(15);

/// How often the lifeguard looks around while there is work: what it adds to a starved job's wait.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Something for a hashing thread to do. A starved one is done a second time, perhaps while the
/// first thread is still at it: whoever is first answers.
pub(super) trait Job: Send + Sync {
    /// Whether nobody waits for it any more: it is answered, or the caller has gone.
    fn is_over(&self) -> bool;

    /// Does it, and answers.
    fn run(&self, memory: &mut Memory);

    /// Answers that it will not be done.
    fn refuse(&self, why: HashError);
}

/// A job with what is known of its time.
pub(super) struct Queued {
    pub(super) job: Arc<dyn Job>,
    pub(super) expected: Expected,
    pub(super) deadline: Deadline,
}

/// A job that was given to somebody.
pub(super) struct Begun {
    pub(super) job: Arc<dyn Job>,
    expected: Expected,
    /// When (boot time).
    since: Duration,
    by: Doer,
}

/// Who does a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doer {
    /// A thread of the pool; the number is the job's.
    Thread(u64),
    Lifeguard,
}

/// What a thread does next.
pub(super) enum Next {
    Job(Begun),
    /// Nothing came for the time that was given.
    Idle,
    Stopped,
}

/// The queue, shared by its callers and the threads.
///
/// Nobody is woken while it is locked: whom a thread of the pool wakes takes the core from it, and
/// everybody would wait for the lock until it gets the core back.
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is a job for a thread.
    wake: Condvar,
    /// There is something to look after.
    wake_lifeguard: Condvar,
    /// A thread has left.
    left: Condvar,
}

impl Queue {
    pub(super) fn new(threads: usize) -> Self {
        let state = State::new(u32::try_from(threads).unwrap_or(u32::MAX));
        Self {
            state: Mutex::new(state),
            wake: Condvar::new(),
            wake_lifeguard: Condvar::new(),
            left: Condvar::new(),
        }
    }

    /// Takes a job, or answers it at once with the reason why not.
    pub(super) fn push(&self, queued: Queued, clock: &dyn Clock) {
        let mut state = self.lock();
        match state.admit(queued.expected, queued.deadline, clock) {
            Ok(()) => {
                let was_quiet = state.is_quiet();
                state.push(queued, clock.boottime());
                drop(state);
                self.wake.notify_one();
                if was_quiet {
                    self.wake_lifeguard.notify_one();
                }
            }
            Err(why) => {
                drop(state);
                queued.job.refuse(why);
            }
        }
    }

    /// The next job worth doing; waits for one, for ever or for as long as `idle` says.
    pub(super) fn next(&self, clock: &dyn Clock, idle: Option<Duration>) -> Next {
        let mut state = self.lock();
        loop {
            if state.is_stopped() {
                return Next::Stopped;
            }
            let popped = state.pop(clock);
            if popped.has_any() {
                drop(state);
                if let Some(begun) = popped.refuse_late() {
                    return Next::Job(begun);
                }
                state = self.lock();
                continue;
            }
            let nothing_to_do = |state: &mut State| state.has_nothing_waiting();
            state = match idle {
                None => self.wake.wait_while(state, nothing_to_do).expect(NEVER_POISONED),
                Some(limit) => {
                    let waited = self.wake.wait_timeout_while(state, limit, nothing_to_do);
                    let (state, waited) = waited.expect(NEVER_POISONED);
                    if waited.timed_out() {
                        return Next::Idle;
                    }
                    state
                }
            };
        }
    }

    /// The next job that would starve without the lifeguard; waits as [`Self::next`] does.
    pub(super) fn next_rescue(&self, clock: &dyn Clock, idle: Option<Duration>) -> Next {
        let idle_at = idle.map(|idle| clock.boottime() + idle);
        loop {
            let popped = self.lock().rescue(clock);
            if let Some(begun) = popped.refuse_late() {
                return Next::Job(begun);
            }
            let state = self.lock();
            if state.is_stopped() {
                return Next::Stopped;
            }
            let rest = idle_at.map(|at| at.saturating_sub(clock.boottime()));
            if rest.is_some_and(|rest| rest.is_zero()) {
                return Next::Idle;
            }
            let limit = if state.is_quiet() { rest } else { Some(LOOK_EVERY) };
            match limit {
                None => drop(self.wake_lifeguard.wait(state).expect(NEVER_POISONED)),
                Some(limit) => {
                    drop(self.wake_lifeguard.wait_timeout(state, limit).expect(NEVER_POISONED));
                }
            }
        }
    }

    /// Notes that a job is over.
    pub(super) fn finish(&self, begun: &Begun, clock: &dyn Clock) {
        self.lock().finish(begun, clock.boottime());
    }

    /// Lets nothing in any more, refuses what waits and wakes every thread.
    pub(super) fn stop(&self) {
        let waiting = self.lock().stop();
        self.wake.notify_all();
        self.wake_lifeguard.notify_all();
        for (queued, _) in waiting {
            queued.job.refuse(HashError::Stopped);
        }
    }

    /// A thread has begun to work here.
    pub(super) fn enter(&self) {
        self.lock().present += 1;
    }

    /// It does so no more.
    pub(super) fn leave(&self) {
        self.lock().present -= 1;
        self.left.notify_all();
    }

    /// Waits until every thread has left; `false` if that takes longer than `limit`.
    pub(super) fn is_left_within(&self, limit: Duration) -> bool {
        let is_present = |state: &mut State| state.present > 0;
        let waited = self.left.wait_timeout_while(self.lock(), limit, is_present);
        !waited.expect(NEVER_POISONED).1.timed_out()
    }

    /// Jobs that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// How it is with the threads and what waits for them.
    pub(super) fn pool_state(&self) -> PoolState {
        self.lock().pool_state()
    }

    /// Threads that are at work.
    pub(super) fn busy(&self) -> usize {
        self.lock().busy()
    }

    /// What a caller is told who was let in, but whose time ran out.
    pub(super) fn retry_after(&self, clock: &dyn Clock) -> Duration {
        self.lock().retry_after(clock.boottime())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NEVER_POISONED)
    }
}

impl Popped {
    fn has_any(&self) -> bool {
        self.begun.is_some() || !self.late.is_empty()
    }

    /// Tells those that came too late, and gives what is to be done.
    fn refuse_late(self) -> Option<Begun> {
        for job in self.late {
            job.refuse(HashError::Busy { retry_after: self.retry_after });
        }
        self.begun
    }
}

const NEVER_POISONED: &str = "nothing panics while it holds the queue";

#[cfg(test)]
mod tests;
