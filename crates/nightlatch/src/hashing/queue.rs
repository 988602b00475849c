//! The queue before the hashing threads: bounded, and honest about how long it is.
//!
//! A login that would wait longer than its deadline is told so at once, with the time when it will
//! be let in, instead of taking the place of one that can still be answered. Jobs whose deadline
//! has passed or whose caller has gone are thrown away when their turn comes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use nightlatch_core::{Clock, Deadline, HashError};

use super::memory::Memory;

/// The most jobs that wait for one thread. It does about sixty hashes a second, so this is more
/// than the five seconds that any login waits; it bounds the memory should that estimate be off.
const JOBS_PER_THREAD_MAX: usize = 256;

/// The shortest wait that a refused caller is told: `Retry-After` counts in seconds.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// The longest: more would be a guess about strangers.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(15);

/// How much one finished job moves the estimate of the pace.
const PACE_WEIGHT: f64 = 0.2;
/// The pace that is believed: jobs take from half to twenty times what they were measured at.
const PACE_MIN: f64 = 0.5;
const PACE_MAX: f64 = 20.0;

/// Something for a hashing thread to do.
pub(super) trait Job: Send {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;

    /// Does it, and answers.
    fn run(self: Box<Self>, memory: &mut Memory);

    /// Answers that it will not be done.
    fn refuse(self: Box<Self>, why: HashError);
}

/// A job with what is known of its time.
pub(super) struct Queued {
    pub(super) job: Box<dyn Job>,
    pub(super) expected: Expected,
    pub(super) deadline: Deadline,
}

/// What a job takes on an idle machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Measured: what it takes now tells how busy the machine is.
    Measured(Duration),
    /// Only guessed: says nothing about the machine when it is wrong.
    Guessed(Duration),
}

impl Expected {
    /// The time.
    pub(crate) const fn span(self) -> Duration {
        match self {
            Self::Measured(span) | Self::Guessed(span) => span,
        }
    }
}

/// What a thread does next.
pub(super) enum Next {
    Job(Queued),
    /// Nothing came for the time that was given.
    Idle,
    Stopped,
}

/// The queue, shared by its callers and the threads.
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

impl Queue {
    pub(super) fn new(threads: usize) -> Self {
        let state = State {
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
            jobs: VecDeque::new(),
            waiting: Duration::ZERO,
            running: Duration::ZERO,
            busy: 0,
            pace: 1.0,
            promised_until: Duration::ZERO,
            is_stopped: false,
        };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Takes a job, or answers it at once with the reason why not.
    pub(super) fn push(&self, queued: Queued, clock: &dyn Clock) {
        let mut state = self.lock();
        match state.admit(queued.expected.span(), queued.deadline, clock) {
            Ok(()) => {
                state.waiting += queued.expected.span();
                state.jobs.push_back(queued);
                drop(state);
                self.wake.notify_one();
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
            if state.is_stopped {
                return Next::Stopped;
            }
            if let Some(queued) = state.pop(clock) {
                return Next::Job(queued);
            }
            let nothing_to_do = |state: &mut State| state.jobs.is_empty() && !state.is_stopped;
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

    /// Notes that a job from [`Self::next`] is over, and how long it took.
    pub(super) fn finish(&self, expected: Expected, took: Duration) {
        let mut state = self.lock();
        state.busy = state.busy.saturating_sub(1);
        state.running = state.running.saturating_sub(expected.span());
        state.observe(expected, took);
    }

    /// Lets nothing in any more, refuses what waits and wakes every thread.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        let waiting = std::mem::take(&mut state.jobs);
        drop(state);
        self.wake.notify_all();
        for queued in waiting {
            queued.job.refuse(HashError::Stopped);
        }
    }

    /// Jobs that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Threads that are at work.
    pub(super) fn busy(&self) -> usize {
        self.lock().busy as usize
    }

    /// What a caller is told who was let in, but whose time ran out.
    pub(super) fn retry_after(&self) -> Duration {
        self.lock().wait().clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NEVER_POISONED)
    }
}

const NEVER_POISONED: &str = "nothing panics while it holds the queue";

struct State {
    threads: u32,
    jobs: VecDeque<Queued>,
    /// Expected time of all jobs that wait, and of those that run.
    waiting: Duration,
    running: Duration,
    busy: u32,
    /// How many times longer than expected jobs take now: other processes use the cores too, and
    /// the threads have the lowest priority.
    pace: f64,
    /// Until when (boot time) those who were told to come back use the threads.
    promised_until: Duration,
    is_stopped: bool,
}

impl State {
    fn admit(
        &mut self,
        expected: Duration,
        deadline: Deadline,
        clock: &dyn Clock,
    ) -> Result<(), HashError> {
        if self.is_stopped {
            return Err(HashError::Stopped);
        }
        let remaining = deadline.remaining(clock);
        // A free thread is always used: should the pace ever be far too high, it heals here.
        let is_free = self.jobs.is_empty() && self.busy < self.threads;
        let wait = self.wait();
        let is_in_time = wait + expected.mul_f64(self.pace) <= remaining;
        let has_room = self.jobs.len() < JOBS_PER_THREAD_MAX * self.threads as usize;
        if !remaining.is_zero() && (is_free || (is_in_time && has_room)) {
            return Ok(());
        }
        Err(HashError::Busy { retry_after: self.promise(wait, expected, clock.boottime()) })
    }

    /// When a refused caller may come back. Each is given a time after the one before, or all
    /// would come back at once and most be refused again.
    fn promise(&mut self, wait: Duration, expected: Duration, now: Duration) -> Duration {
        let share = expected.mul_f64(self.pace) / self.threads;
        let until = self.promised_until.max(now + wait) + share;
        self.promised_until = until.min(now + RETRY_AFTER_MAX);
        self.promised_until.saturating_sub(now).clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX)
    }

    /// How long a job that is pushed now waits for a thread.
    fn wait(&self) -> Duration {
        (self.waiting + self.running).mul_f64(self.pace) / self.threads
    }

    fn pop(&mut self, clock: &dyn Clock) -> Option<Queued> {
        while let Some(queued) = self.jobs.pop_front() {
            self.waiting = self.waiting.saturating_sub(queued.expected.span());
            if queued.job.is_abandoned() {
                continue;
            }
            if queued.deadline.is_over(clock) {
                let retry_after = self.wait().clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX);
                queued.job.refuse(HashError::Busy { retry_after });
                continue;
            }
            self.running += queued.expected.span();
            self.busy += 1;
            return Some(queued);
        }
        None
    }

    fn observe(&mut self, expected: Expected, took: Duration) {
        let Expected::Measured(expected) = expected else { return };
        let ratio = took.as_secs_f64() / expected.as_secs_f64().max(0.001);
        let pace = self.pace + PACE_WEIGHT * (ratio - self.pace);
        self.pace = pace.clamp(PACE_MIN, PACE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use nightlatch_core::Timestamp;

    use super::*;

    #[derive(Default)]
    struct ManualClock(AtomicU64);

    impl Clock for ManualClock {
        fn wall(&self) -> Timestamp {
            Timestamp::EPOCH
        }

        fn boottime(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    /// What became of a job.
    type Log = Arc<Mutex<Vec<(u32, Result<(), HashError>)>>>;

    struct Noted {
        name: u32,
        is_abandoned: bool,
        log: Log,
    }

    impl Job for Noted {
        fn is_abandoned(&self) -> bool {
            self.is_abandoned
        }

        fn run(self: Box<Self>, _memory: &mut Memory) {
            self.log.lock().unwrap().push((self.name, Ok(())));
        }

        fn refuse(self: Box<Self>, why: HashError) {
            self.log.lock().unwrap().push((self.name, Err(why)));
        }
    }

    struct Bench {
        queue: Queue,
        clock: ManualClock,
        log: Log,
    }

    const COST: Duration = Duration::from_millis(20);

    impl Bench {
        fn new(threads: usize) -> Self {
            Self { queue: Queue::new(threads), clock: ManualClock::default(), log: Log::default() }
        }

        fn push(&self, name: u32, within_ms: u64) {
            self.push_job(name, within_ms, false);
        }

        fn push_job(&self, name: u32, within_ms: u64, is_abandoned: bool) {
            let job = Box::new(Noted { name, is_abandoned, log: self.log.clone() });
            let deadline = Deadline::within(&self.clock, Duration::from_millis(within_ms));
            self.queue
                .push(Queued { job, expected: Expected::Measured(COST), deadline }, &self.clock);
        }

        fn is_next(&self) -> bool {
            match self.queue.next(&self.clock, Some(Duration::ZERO)) {
                Next::Job(queued) => {
                    queued.job.run(&mut Memory::default());
                    true
                }
                Next::Idle | Next::Stopped => false,
            }
        }

        fn refused(&self) -> Vec<(u32, Duration)> {
            let log = self.log.lock().unwrap();
            let refused = log.iter().filter_map(|(name, outcome)| match outcome {
                Err(HashError::Busy { retry_after }) => Some((*name, *retry_after)),
                Err(HashError::Stopped) | Ok(()) => None,
            });
            refused.collect()
        }
    }

    #[test]
    fn what_would_wait_past_its_deadline_is_refused_at_once() {
        let bench = Bench::new(2);
        for name in 0..100 {
            bench.push(name, 500);
        }
        // Two threads do 20 ms each: in 500 ms fit 49 more behind the first.
        let first_refused = bench.refused().first().expect("100 do not fit").0;
        assert!((48..=50).contains(&first_refused), "{first_refused}");
        assert_eq!(bench.queue.len() + bench.refused().len(), 100);
    }

    #[test]
    fn refused_callers_are_told_times_one_after_the_other() {
        let bench = Bench::new(1);
        for name in 0..200 {
            bench.push(name, 1000);
        }
        let told = bench.refused();
        assert!(told.is_sorted_by_key(|(_, retry_after)| *retry_after));
        // 150 were refused behind a second of work: the last is let in after about three more.
        let last = told.last().expect("200 do not fit").1;
        assert!((3900..4100).contains(&last.as_millis()), "{last:?}");
        assert!(told.iter().all(|(_, told)| *told >= RETRY_AFTER_MIN && *told <= RETRY_AFTER_MAX));
    }

    #[test]
    fn number_of_waiting_jobs_is_bounded_whatever_the_deadline() {
        let bench = Bench::new(1);
        for name in 0..1000 {
            bench.push(name, 3_600_000);
        }
        assert_eq!(bench.queue.len(), JOBS_PER_THREAD_MAX);
    }

    #[test]
    fn late_and_abandoned_jobs_are_skipped() {
        let bench = Bench::new(1);
        bench.push(1, 100);
        bench.push_job(2, 60_000, true);
        bench.push(3, 60_000);
        bench.clock.0.store(100, Ordering::Relaxed);
        assert!(bench.is_next());
        let log: Vec<_> = bench.log.lock().unwrap().iter().map(|(n, o)| (*n, o.is_ok())).collect();
        assert_eq!(log, [(1, false), (3, true)]);
    }

    #[test]
    fn free_thread_is_used_however_slow_jobs_were() {
        let bench = Bench::new(1);
        for name in 0..50 {
            bench.push(name, 60_000);
            assert!(bench.is_next());
            bench.queue.finish(Expected::Measured(COST), COST * 1000);
        }
        bench.push(50, 30);
        assert!(bench.refused().is_empty());
        bench.push(51, 300);
        assert_eq!(bench.refused().len(), 1, "20 ms at 20 times the time do not fit in 300 ms");
    }

    #[test]
    fn passed_deadline_is_refused_even_with_a_free_thread() {
        let bench = Bench::new(1);
        bench.push(1, 0);
        assert_eq!(bench.refused(), [(1, RETRY_AFTER_MIN)]);
    }

    #[test]
    fn stopping_refuses_what_waits_and_what_comes() {
        let bench = Bench::new(1);
        bench.push(1, 1000);
        bench.queue.stop();
        bench.push(2, 1000);
        let log = bench.log.lock().unwrap();
        assert_eq!(*log, [(1, Err(HashError::Stopped)), (2, Err(HashError::Stopped))]);
        assert!(matches!(bench.queue.next(&bench.clock, None), Next::Stopped));
    }
}
