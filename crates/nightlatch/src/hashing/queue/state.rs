//! What the queue knows, and the rules by which it lets in, hands out and rescues.
//!
//! No lock and no waiting here: a clock in, a job or a refusal out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{Clock, Deadline, HashError};

use super::{Begun, Doer, Job, Queued, RETRY_AFTER_MAX, RETRY_AFTER_MIN};
use crate::hashing::pace::{Expected, Pace};
use crate::metrics::Histogram;

/// The most jobs that wait for one thread. It does about sixty hashes a second, so this is more
/// than the five seconds that any login waits; it bounds the memory should that estimate be off.
pub(super) const JOBS_PER_THREAD_MAX: usize = 256;

/// A free thread that has not come for a waiting job in this time does not get the core.
const COMES_WITHIN: Duration = Duration::from_millis(50);

/// How it is with the threads and what waits for them.
pub struct PoolState {
    /// Jobs that wait.
    pub waiting: usize,
    /// Threads, without the lifeguard.
    pub threads: u32,
    /// Those of them that are at work.
    pub busy: usize,
    /// Jobs that nobody had the time for, since the start.
    pub refused: u64,
    /// How long jobs waited that somebody took.
    pub(crate) waits: Arc<Histogram>,
}

pub(super) struct State {
    threads: u32,
    /// Threads that have entered and not left, the lifeguard among them.
    pub(super) present: usize,
    /// Each with when (boot time) it began to wait.
    jobs: VecDeque<(Queued, Duration)>,
    /// How long jobs waited that somebody took, and how many were refused.
    waits: Arc<Histogram>,
    refused: u64,
    running: Vec<Running>,
    /// Expected time of all jobs that wait, and of those that somebody does.
    waiting: Duration,
    begun: Duration,
    /// How long jobs take the threads now, and how long they take the lifeguard.
    pace: Pace,
    lifeguard_pace: Pace,
    /// Since when (boot time) a free thread could have come for the first job that waits.
    could_come_since: Duration,
    /// Until when (boot time) those who were told to come back use the threads.
    promised_until: Duration,
    next_number: u64,
    is_stopped: bool,
}

/// What a thread of the pool does.
struct Running {
    number: u64,
    job: Arc<dyn Job>,
    expected: Expected,
    since: Duration,
    is_rescued: bool,
}

impl Running {
    fn is_starved(&self, now: Duration) -> bool {
        now >= self.since + self.expected.patience()
    }
}

/// What came from the queue.
pub(super) struct Popped {
    pub(super) begun: Option<Begun>,
    /// Those before it that nobody had the time for.
    pub(super) late: Vec<Arc<dyn Job>>,
    pub(super) retry_after: Duration,
}

impl Popped {
    const NOTHING: Self = Self { begun: None, late: Vec::new(), retry_after: RETRY_AFTER_MIN };
}

impl State {
    pub(super) fn new(threads: u32) -> Self {
        Self {
            threads,
            present: 0,
            jobs: VecDeque::new(),
            waits: Arc::default(),
            refused: 0,
            running: Vec::new(),
            waiting: Duration::ZERO,
            begun: Duration::ZERO,
            pace: Pace::UNDISTURBED,
            lifeguard_pace: Pace::SHARED,
            could_come_since: Duration::ZERO,
            promised_until: Duration::ZERO,
            next_number: 0,
            is_stopped: false,
        }
    }

    pub(super) fn admit(
        &mut self,
        expected: Expected,
        deadline: Deadline,
        clock: &dyn Clock,
    ) -> Result<(), HashError> {
        if self.is_stopped {
            return Err(HashError::Stopped);
        }
        let (now, remaining) = (clock.boottime(), deadline.remaining(clock));
        // A free thread is always used: should the pace ever be far too high, it heals here.
        let is_free = self.jobs.is_empty() && self.busy() < self.threads as usize;
        let wait = self.wait(now);
        let is_in_time = wait + self.takes(expected) <= remaining;
        let has_room = self.jobs.len() < JOBS_PER_THREAD_MAX * self.threads as usize;
        if !remaining.is_zero() && (is_free || (is_in_time && has_room)) {
            return Ok(());
        }
        self.refused += 1;
        Err(HashError::Busy { retry_after: self.promise(wait, expected.span(), now) })
    }

    pub(super) fn push(&mut self, queued: Queued, now: Duration) {
        if self.jobs.is_empty() {
            self.could_come_since = now;
        }
        self.waiting += queued.expected.span();
        self.jobs.push_back((queued, now));
    }

    /// The next job, for a thread of the pool.
    pub(super) fn pop(&mut self, clock: &dyn Clock) -> Popped {
        let number = self.next_number;
        let popped = self.take(Doer::Thread(number), clock);
        if let Some(begun) = &popped.begun {
            let (job, expected, since) = (Arc::clone(&begun.job), begun.expected, begun.since);
            self.running.push(Running { number, job, expected, since, is_rescued: false });
            self.next_number += 1;
            self.could_come_since = since;
        }
        popped
    }

    /// The job that needs the lifeguard most, if one does: the one that has been starving longest
    /// in a thread, else the first that waits while no thread makes progress.
    pub(super) fn rescue(&mut self, clock: &dyn Clock) -> Popped {
        let now = clock.boottime();
        if self.is_stopped {
            return Popped::NOTHING;
        }
        let starved = self.running.iter_mut().find(|running| {
            !running.is_rescued && running.is_starved(now) && !running.job.is_over()
        });
        if let Some(running) = starved {
            running.is_rescued = true;
            let (job, expected) = (Arc::clone(&running.job), running.expected);
            self.begun += expected.span();
            let begun = Some(Begun { job, expected, since: now, by: Doer::Lifeguard });
            return Popped { begun, ..Popped::NOTHING };
        }
        if self.jobs.is_empty() || self.threads_at_work(now) > 0 {
            return Popped::NOTHING;
        }
        self.take(Doer::Lifeguard, clock)
    }

    pub(super) fn finish(&mut self, begun: &Begun, now: Duration) {
        let took = now.saturating_sub(begun.since);
        self.begun = self.begun.saturating_sub(begun.expected.span());
        match begun.by {
            Doer::Thread(number) => {
                self.pace.observe(begun.expected, took);
                self.could_come_since = now;
                self.running.retain(|running| running.number != number);
            }
            Doer::Lifeguard => self.lifeguard_pace.observe(begun.expected, took),
        }
    }

    pub(super) fn stop(&mut self) -> VecDeque<(Queued, Duration)> {
        self.is_stopped = true;
        std::mem::take(&mut self.jobs)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Whether nothing waits and nothing runs: nothing can starve.
    pub(super) fn is_quiet(&self) -> bool {
        self.jobs.is_empty() && self.running.is_empty()
    }

    /// Whether a thread has a reason to sleep.
    pub(super) fn has_nothing_waiting(&self) -> bool {
        self.jobs.is_empty() && !self.is_stopped
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn pool_state(&self) -> PoolState {
        PoolState {
            waiting: self.jobs.len(),
            threads: self.threads,
            busy: self.busy(),
            refused: self.refused,
            waits: Arc::clone(&self.waits),
        }
    }

    pub(super) fn busy(&self) -> usize {
        self.running.len()
    }

    pub(super) fn retry_after(&self, now: Duration) -> Duration {
        self.wait(now).clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX)
    }

    fn take(&mut self, by: Doer, clock: &dyn Clock) -> Popped {
        let now = clock.boottime();
        let (mut begun, mut late) = (None, Vec::new());
        while let Some((Queued { job, expected, deadline }, pushed)) = self.jobs.pop_front() {
            self.waiting = self.waiting.saturating_sub(expected.span());
            if job.is_over() {
                continue;
            }
            if deadline.is_over(clock) {
                late.push(job);
                self.refused += 1;
                continue;
            }
            self.begun += expected.span();
            self.waits.observe(now.saturating_sub(pushed));
            begun = Some(Begun { job, expected, since: now, by });
            break;
        }
        Popped { begun, late, retry_after: self.retry_after(now) }
    }

    /// When a refused caller may come back. Each is given a time after the one before, or all
    /// would come back at once and most be refused again.
    fn promise(&mut self, wait: Duration, expected: Duration, now: Duration) -> Duration {
        let share = expected.div_f64(self.speed(now));
        let until = self.promised_until.max(now + wait) + share;
        self.promised_until = until.min(now + RETRY_AFTER_MAX);
        self.promised_until.saturating_sub(now).clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX)
    }

    /// How long a job that is pushed now waits for somebody.
    fn wait(&self, now: Duration) -> Duration {
        (self.waiting + self.begun).div_f64(self.speed(now))
    }

    /// How long a job takes once a thread has it: the threads' time, or the lifeguard's after it
    /// was found starving.
    fn takes(&self, expected: Expected) -> Duration {
        let rescued = expected.patience() + self.lifeguard_pace.stretch(expected.span());
        self.pace.stretch(expected.span()).min(rescued)
    }

    /// How much expected time is worked off in each second: by the threads that get the cores, and
    /// at least by the lifeguard.
    fn speed(&self, now: Duration) -> f64 {
        let threads = f64::from(self.threads_at_work(now)) * self.pace.speed();
        threads.max(self.lifeguard_pace.speed())
    }

    /// Threads that make progress, or would if there was a job for them.
    fn threads_at_work(&self, now: Duration) -> u32 {
        let is_starved = |running: &&Running| running.is_starved(now);
        let starved = self.running.iter().filter(is_starved).count();
        let free = (self.threads as usize).saturating_sub(self.running.len());
        let comes = self.jobs.is_empty() || now < self.could_come_since + COMES_WITHIN;
        let absent = if comes { starved } else { starved + free };
        self.threads.saturating_sub(u32::try_from(absent).unwrap_or(u32::MAX))
    }
}
