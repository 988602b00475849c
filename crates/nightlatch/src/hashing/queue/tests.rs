//! The rules with a clock that is set by hand; nothing here waits.

use std::sync::atomic::{AtomicU64, Ordering};

use nightlatch_core::Timestamp;

use super::state::JOBS_PER_THREAD_MAX;
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
    fn is_over(&self) -> bool {
        self.is_abandoned || self.log.lock().unwrap().iter().any(|(name, _)| *name == self.name)
    }

    fn run(&self, _memory: &mut Memory) {
        self.log.lock().unwrap().push((self.name, Ok(())));
    }

    fn refuse(&self, why: HashError) {
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
        let job = Arc::new(Noted { name, is_abandoned, log: self.log.clone() });
        let deadline = Deadline::within(&self.clock, Duration::from_millis(within_ms));
        self.queue.push(Queued { job, expected: Expected::Measured(COST), deadline }, &self.clock);
    }

    /// What a thread of the pool is given.
    fn begin(&self) -> Option<Begun> {
        match self.queue.next(&self.clock, Some(Duration::ZERO)) {
            Next::Job(begun) => Some(begun),
            Next::Idle | Next::Stopped => None,
        }
    }

    /// What the lifeguard is given.
    fn rescue(&self) -> Option<Begun> {
        match self.queue.next_rescue(&self.clock, Some(Duration::ZERO)) {
            Next::Job(begun) => Some(begun),
            Next::Idle | Next::Stopped => None,
        }
    }

    /// Ends a job after so many milliseconds.
    fn end(&self, begun: &Begun, after_ms: u64) {
        self.pass(after_ms);
        begun.job.run(&mut Memory::default());
        self.queue.finish(begun, &self.clock);
    }

    fn pass(&self, millis: u64) {
        self.clock.0.fetch_add(millis, Ordering::Relaxed);
    }

    /// The jobs that were done, in this order.
    fn done(&self) -> Vec<u32> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(name, _)| *name).collect()
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
    bench.pass(100);
    bench.end(&bench.begin().expect("the third"), 0);
    let log: Vec<_> = bench.log.lock().unwrap().iter().map(|(n, o)| (*n, o.is_ok())).collect();
    assert_eq!(log, [(1, false), (3, true)]);
}

#[test]
fn free_thread_is_used_however_slow_jobs_were() {
    let bench = Bench::new(1);
    for name in 0..50 {
        bench.push(name, 60_000);
        bench.end(&bench.begin().expect("pushed"), 20_000);
        bench.push(100 + name, 60_000);
        bench.pass(1_000);
        bench.end(&bench.rescue().expect("nobody came for it"), 20_000);
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

#[test]
fn lifeguard_takes_what_starves_in_a_thread_once() {
    let bench = Bench::new(2);
    bench.push(1, 5000);
    bench.push(2, 5000);
    let first = bench.begin().expect("pushed");
    bench.pass(50);
    let second = bench.begin().expect("pushed");
    assert!(bench.rescue().is_none(), "each has only begun");
    bench.pass(60);
    // 20 ms take 110 ms at most before they are looked after.
    let rescued = bench.rescue().expect("the first starves");
    bench.end(&rescued, 0);
    assert_eq!(bench.done(), [1]);
    assert!(bench.rescue().is_none(), "the second does not, and the first is done");
    bench.pass(50);
    let rescued = bench.rescue().expect("now the second does too");
    assert!(bench.rescue().is_none(), "and is being done");
    bench.end(&second, 0);
    assert_eq!(bench.done(), [1, 2]);
    for begun in [rescued, first] {
        bench.queue.finish(&begun, &bench.clock);
    }
    assert_eq!(bench.queue.busy(), 0);
}

#[test]
fn lifeguard_serves_the_queue_only_while_every_thread_starves() {
    let bench = Bench::new(2);
    (0..5).for_each(|name| bench.push(name, 5000));
    let first = bench.begin().expect("pushed");
    bench.pass(100);
    let second = bench.begin().expect("pushed");
    bench.pass(20);
    bench.end(&bench.rescue().expect("the first starves"), 0);
    assert!(bench.rescue().is_none(), "what waits is waited for by a thread that is well");
    bench.pass(100);
    for _ in 0..3 {
        bench.end(&bench.rescue().expect("both starve"), 20);
    }
    assert_eq!(bench.done(), [0, 1, 2, 3]);
    bench.queue.finish(&first, &bench.clock);
    assert!(bench.rescue().is_none(), "a thread is free again");
    bench.end(&bench.begin().expect("the last"), 20);
    bench.queue.finish(&second, &bench.clock);
    assert_eq!(bench.done(), [0, 1, 2, 3, 4]);
}

#[test]
fn lifeguard_takes_what_no_free_thread_comes_for() {
    let bench = Bench::new(2);
    bench.push(1, 5000);
    bench.pass(49);
    assert!(bench.rescue().is_none());
    bench.pass(1);
    bench.end(&bench.rescue().expect("nobody came"), 40);
    assert_eq!(bench.done(), [1]);
    bench.push(2, 5000);
    assert!(bench.rescue().is_none(), "the next one is waited for anew");
}

#[test]
fn long_job_that_was_measured_is_not_taken_for_a_starved_one() {
    let bench = Bench::new(1);
    let job = Arc::new(Noted { name: 1, is_abandoned: false, log: bench.log.clone() });
    let deadline = Deadline::within(&bench.clock, Duration::from_secs(5));
    let expected = Expected::Measured(COST * 10);
    bench.queue.push(Queued { job, expected, deadline }, &bench.clock);
    bench.push(2, 5000);
    let long = bench.begin().expect("pushed");
    bench.pass(600);
    assert!(bench.rescue().is_none(), "200 ms take 650 ms at most, and the other waits its turn");
    bench.end(&long, 0);
    assert!(bench.begin().is_some());
}

#[test]
fn starved_pool_lets_in_what_the_lifeguard_can_do() {
    let bench = Bench::new(2);
    (0..2).for_each(|name| bench.push(name, 5000));
    let _starved = [bench.begin(), bench.begin()];
    bench.pass(200);
    for name in 2..200 {
        bench.push(name, 1000);
    }
    // Alone, at an assumed 40 ms each, it does 25 in the second, of which it needs two for the
    // starved ones.
    let first_refused = bench.refused().first().expect("198 do not fit").0;
    assert!((24..=25).contains(&first_refused), "{first_refused}");
    let mut done = 0;
    while let Some(begun) = bench.rescue() {
        bench.end(&begun, 40);
        done += 1;
    }
    assert_eq!(done, first_refused, "everything that was let in is done in time");
}

#[test]
fn threads_are_waited_for_as_long_as_is_said() {
    let queue = Queue::new(1);
    assert!(queue.is_left_within(Duration::ZERO));
    queue.enter();
    assert!(!queue.is_left_within(Duration::ZERO));
    queue.leave();
    assert!(queue.is_left_within(Duration::ZERO));
}
