//! The hashing threads, and the two kinds of jobs they are given.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nightlatch_core::HashError;
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::sync::oneshot;

use super::Shared;
use super::memory::Memory;
use super::queue::{Job, Next, Queued};

/// A thread that had nothing to do for this long gives its memory back.
const IDLE_BEFORE_RELEASE: Duration = Duration::from_secs(10);

/// The lowest priority that is still one: session checks go before logins on a busy machine.
const NICE: i32 = 19;

/// Starts one thread.
pub(super) fn spawn(number: usize, shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    Builder::new().name(format!("hash-{number}")).spawn(move || work(&shared))
}

fn work(shared: &Shared) {
    // On Linux a thread has a priority of its own. Where it cannot be lowered hashing is only less
    // polite than it should be.
    let _lowered = setpriority_process(Some(gettid()), NICE);
    let mut memory = Memory::default();
    loop {
        let idle = (!memory.is_empty()).then_some(IDLE_BEFORE_RELEASE);
        match shared.queue.next(&*shared.clock, idle) {
            Next::Job(queued) => do_job(queued, shared, &mut memory),
            Next::Idle => memory.release(),
            Next::Stopped => return,
        }
    }
}

/// Does one job. Whatever panics in it costs its caller an answer, and the pool no thread.
fn do_job(queued: Queued, shared: &Shared, memory: &mut Memory) {
    let began = shared.clock.boottime();
    let done = catch_unwind(AssertUnwindSafe(|| queued.job.run(memory)));
    if done.is_err() {
        tracing::error!("a password could not be hashed: a bug in Nightlatch or in a library");
        memory.release();
    }
    memory.release_excess();
    shared.queue.finish(queued.expected, shared.clock.boottime().saturating_sub(began));
}

/// Work that somebody waits for.
pub(super) struct Call<T, W> {
    pub(super) work: W,
    pub(super) answer: oneshot::Sender<Result<T, HashError>>,
}

impl<T, W> Job for Call<T, W>
where
    T: Send,
    W: FnOnce(&mut Memory) -> Result<T, HashError> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(self: Box<Self>, memory: &mut Memory) {
        let Self { work, answer } = *self;
        // Nobody to tell is fine: the caller went away while it was done.
        let _told = answer.send(work(memory));
    }

    fn refuse(self: Box<Self>, why: HashError) {
        let _told = self.answer.send(Err(why));
    }
}

/// Work that nobody waits for.
pub(super) struct Background<W>(pub(super) W);

impl<W: FnOnce(&mut Memory) + Send> Job for Background<W> {
    fn is_abandoned(&self) -> bool {
        false
    }

    fn run(self: Box<Self>, memory: &mut Memory) {
        (self.0)(memory);
    }

    fn refuse(self: Box<Self>, _why: HashError) {}
}
