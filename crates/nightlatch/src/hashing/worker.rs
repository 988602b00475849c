//! The hashing threads, the lifeguard beside them, and the two kinds of jobs they are given.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nightlatch_core::HashError;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::oneshot;

use super::Shared;
use super::memory::Memory;
use super::queue::{Begun, Job, Next};

/// A thread that had nothing to do for this long gives its memory back.
const IDLE_BEFORE_RELEASE: Duration = Duration::from_secs(10);

/// `SCHED_IDLE`: such a thread runs when nobody else wants the core, and leaves it at once to
/// whoever wakes up. With the lowest niceness it would keep it for up to a tick of the kernel.
const WHEN_NOBODY_ELSE_WANTS_TO: ThreadSchedulePolicy =
    ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

/// Starts one thread of the pool.
pub(super) fn spawn(number: usize, shared: &Arc<Shared>) -> io::Result<JoinHandle<()>> {
    start(format!("hash-{number}"), shared, |shared| {
        // Where the policy cannot be set hashing is only less polite than it should be.
        let _set = set_thread_priority_and_policy(
            thread_native_id(),
            ThreadPriority::Min,
            WHEN_NOBODY_ELSE_WANTS_TO,
        );
        work(shared, |idle| shared.queue.next(&*shared.clock, idle));
    })
}

/// Starts the lifeguard. A thread of its own and of the priority that it was born with, because
/// without privileges no thread gets its priority back.
pub(super) fn spawn_lifeguard(shared: &Arc<Shared>) -> io::Result<JoinHandle<()>> {
    start("hash-lifeguard".to_owned(), shared, |shared| {
        work(shared, |idle| shared.queue.next_rescue(&*shared.clock, idle));
    })
}

fn start(
    name: String,
    shared: &Arc<Shared>,
    run: impl FnOnce(&Shared) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    shared.queue.enter();
    let thread = Builder::new().name(name).spawn({
        let shared = Arc::clone(shared);
        move || {
            run(&shared);
            shared.queue.leave();
        }
    });
    if thread.is_err() {
        shared.queue.leave();
    }
    thread
}

fn work(shared: &Shared, next: impl Fn(Option<Duration>) -> Next) {
    let mut memory = Memory::default();
    loop {
        let idle = (!memory.is_empty()).then_some(IDLE_BEFORE_RELEASE);
        match next(idle) {
            Next::Job(begun) => do_job(&begun, shared, &mut memory),
            Next::Idle => memory.release(),
            Next::Stopped => return,
        }
    }
}

/// Does one job. Whatever panics in it costs its caller an answer, and the pool no thread.
fn do_job(begun: &Begun, shared: &Shared, memory: &mut Memory) {
    let done = catch_unwind(AssertUnwindSafe(|| begun.job.run(memory)));
    if done.is_err() {
        tracing::error!("a password could not be hashed: a bug in Nightlatch or in a library");
        memory.release();
    }
    memory.release_excess();
    shared.queue.finish(begun, &*shared.clock);
}

/// Work that somebody waits for.
pub(super) struct Call<T, W> {
    work: W,
    /// Taken by whoever is first to answer.
    answer: Mutex<Option<oneshot::Sender<Result<T, HashError>>>>,
}

impl<T, W> Call<T, W> {
    pub(super) fn new(work: W, answer: oneshot::Sender<Result<T, HashError>>) -> Self {
        Self { work, answer: Mutex::new(Some(answer)) }
    }

    fn answer(&self, with: Result<T, HashError>) {
        let answer = self.answer.lock().expect(NEVER_POISONED).take();
        if let Some(answer) = answer {
            // Nobody to tell is fine: the caller went away while it was done.
            let _told = answer.send(with);
        }
    }
}

impl<T, W> Job for Call<T, W>
where
    T: Send,
    W: Fn(&mut Memory) -> Result<T, HashError> + Send + Sync,
{
    fn is_over(&self) -> bool {
        let answer = self.answer.lock().expect(NEVER_POISONED);
        answer.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn run(&self, memory: &mut Memory) {
        self.answer((self.work)(memory));
    }

    fn refuse(&self, why: HashError) {
        self.answer(Err(why));
    }
}

const NEVER_POISONED: &str = "nothing panics while it holds the answer";

/// Work that nobody waits for.
pub(super) struct Background<W>(pub(super) W);

impl<W: Fn(&mut Memory) + Send + Sync> Job for Background<W> {
    fn is_over(&self) -> bool {
        false
    }

    fn run(&self, memory: &mut Memory) {
        (self.0)(memory);
    }

    fn refuse(&self, _why: HashError) {}
}
