//! Password hashing on a bounded pool of threads of its own.
//!
//! One hash takes a core for tens of milliseconds and 19 MiB, on purpose. On the async workers it
//! would stop everything else, and with a thread for each login a storm would take the machine;
//! here it takes the threads of this pool, which run when nobody else wants the cores, and when they
//! are taken for longer than a login waits, the answer is "busy" at once. Where other programs want
//! the cores all the time, one thread more, the lifeguard, does what starves
//! (docs/decisions/0009-hashing-when-nobody-else-wants-to.md).
//!
//! What bounds the speed: argon2id fills 19 MiB twice, so memory bandwidth and the AVX2 code that
//! the crate chooses at run time (building for `target-cpu=native` makes it slower, not faster).
//! Each thread keeps its memory between hashes, which saves the page faults of a fresh one; huge
//! pages would save some 5 % more, but asking for them takes `unsafe`. Logins a second are threads
//! times what one thread does alone, until memory bandwidth ends.

mod cost;
mod debug;
mod memory;
mod pace;
mod queue;
mod stored;
mod worker;

use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nightlatch_core::{
    BoxFuture, Clock, Deadline, Entropy, HashError, HashKind, Password, PasswordHash,
    PasswordHasher, Verified,
};
use tokio::sync::oneshot;

use crate::strength::Tables;

use self::cost::{Costs, measure};
pub use self::debug::verify_lines;
pub(crate) use self::memory::Memory;
use self::memory::OutOfMemory;
pub(crate) use self::pace::Expected;
pub use self::queue::PoolState;
use self::queue::{Queue, Queued};
use self::stored::{Stored, argon2};
pub use self::stored::{StoredHashError, check_stored};
use self::worker::{Background, Call};

/// How long measuring one kind may wait for a thread: it is nobody's login.
const MEASURE_WITHIN: Duration = Duration::from_mins(1);

/// How long a stop waits for the hashes that are under way. A thread that does not get the core
/// would keep it for much longer, and nobody waits for its answer any more.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// What a caller is told when there is no memory to hash in.
const NO_MEMORY_RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<OutOfMemory> for HashError {
    fn from(_: OutOfMemory) -> Self {
        Self::Busy { retry_after: NO_MEMORY_RETRY_AFTER }
    }
}

/// The pool. Dropping it stops it.
pub struct HashPool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// What the estimator of passwords looks things up in.
    pub(crate) tables: Tables,
}

/// What the callers and the threads share.
struct Shared {
    queue: Queue,
    costs: Costs,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl HashPool {
    /// Starts the threads, as many as there are cores unless told otherwise, and the lifeguard, and
    /// has one of them measure what a hash costs here.
    ///
    /// # Errors
    /// The system's, when it gives no threads.
    pub fn start(
        threads: Option<NonZeroUsize>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> io::Result<Self> {
        let threads = threads.map_or_else(std::thread::available_parallelism, Ok)?.get();
        let queue = Queue::new(threads);
        let shared = Arc::new(Shared { queue, costs: Costs::default(), clock, entropy });
        let handles = Mutex::new(Vec::with_capacity(threads + 1));
        let pool = Self { shared, threads: handles, tables: Tables::default() };
        for number in 0..threads {
            let thread = worker::spawn(number, &pool.shared)?;
            pool.threads.lock().expect(NEVER_POISONED).push(thread);
        }
        let lifeguard = worker::spawn_lifeguard(&pool.shared)?;
        pool.threads.lock().expect(NEVER_POISONED).push(lifeguard);
        pool.measure_today();
        Ok(pool)
    }

    /// Lets nothing in any more, answers what waits with [`HashError::Stopped`], and waits for the
    /// hashes that are under way. Blocks for as long as one hash takes, and a second at most.
    pub fn stop(&self) {
        self.shared.queue.stop();
        let threads = std::mem::take(&mut *self.threads.lock().expect(NEVER_POISONED));
        if !self.shared.queue.is_left_within(STOP_LIMIT) {
            return;
        }
        for thread in threads {
            // A thread that panicked has said so when it did; stopping goes on.
            let _ended = thread.join();
        }
    }

    /// Measures the kinds that are not known yet, so that a failed login takes as long whichever
    /// kind its account has. To be called at start and now and then with what the record holds; a
    /// kind that could not be measured now is measured the next time.
    pub async fn learn_kinds(&self, kinds: Vec<HashKind>) {
        for kind in kinds {
            if !self.shared.costs.wants(&kind) {
                continue;
            }
            // What nothing verifies against is answered with today's work.
            let Some(stored) = Stored::synthetic(&kind) else { continue };
            let deadline = Deadline::within(&*self.shared.clock, MEASURE_WITHIN);
            let verify = move |memory: &mut Memory| {
                let (verified, cost) = measure(|| stored.verify(MEASURED_PASSWORD, memory));
                Ok(verified.map(|_| cost)?)
            };
            let expected = Expected::Guessed(self.shared.costs.of_today().span());
            match self.run(expected, deadline, verify).await {
                Ok(cost) => self.shared.costs.learn(kind, cost),
                Err(HashError::Busy { .. }) => {}
                Err(HashError::Stopped) => return,
            }
        }
    }

    /// Jobs that wait for a thread.
    #[must_use]
    pub fn queue_len(&self) -> usize {
        self.shared.queue.len()
    }

    /// Threads that are at work.
    #[must_use]
    pub fn busy_threads(&self) -> usize {
        self.shared.queue.busy()
    }

    /// How it is with the threads and what waits for them.
    #[must_use]
    pub fn state(&self) -> PoolState {
        self.shared.queue.pool_state()
    }

    /// Has `work` done by one of the threads within the deadline, twice perhaps if the first to do
    /// it starves. `expected` is what it takes on an idle machine. When the returned future is
    /// dropped before a thread took the work, it is not done.
    pub(crate) async fn run<T, W>(
        &self,
        expected: Expected,
        deadline: Deadline,
        work: W,
    ) -> Result<T, HashError>
    where
        T: Send + 'static,
        W: Fn(&mut Memory) -> Result<T, HashError> + Send + Sync + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Arc::new(Call::new(work, answer));
        self.shared.queue.push(Queued { job, expected, deadline }, &*self.shared.clock);
        match self.within(deadline, answered).await? {
            Ok(answer) => answer,
            // The work panicked, and its thread lives on: not an answer, but worth another try.
            Err(_gone) => Err(self.busy()),
        }
    }

    /// Waits for something until the deadline, and says busy then.
    pub(crate) async fn within<F: Future>(
        &self,
        deadline: Deadline,
        future: F,
    ) -> Result<F::Output, HashError> {
        let remaining = deadline.remaining(&*self.shared.clock);
        tokio::time::timeout(remaining, future).await.map_err(|_elapsed| self.busy())
    }

    /// What a caller is told whose time ran out.
    pub(crate) fn busy(&self) -> HashError {
        HashError::Busy { retry_after: self.shared.queue.retry_after(&*self.shared.clock) }
    }

    /// What estimating a password's strength is taken to cost, compared with hashing it.
    pub(crate) fn expected_of_estimate(&self) -> Expected {
        Expected::Guessed(self.shared.costs.of_today().span() / 10)
    }

    fn measure_today(&self) {
        let shared = self.shared.clone();
        let deadline = Deadline::within(&*shared.clock, MEASURE_WITHIN);
        let expected = Expected::Guessed(shared.costs.of_today().span() * 3);
        let measure_today = move |memory: &mut Memory| {
            let mut costs = [Duration::ZERO; 3];
            for cost in &mut costs {
                let (done, took) = measure(|| argon2::pretend(MEASURED_PASSWORD, memory));
                if done.is_err() {
                    return;
                }
                *cost = took;
            }
            // The median: the first one pays for fresh memory, any may be interrupted.
            costs.sort_unstable();
            shared.costs.learn_today(costs[1]);
            // An idle server is small from its start, not only ten seconds later.
            memory.release();
        };
        let job = Arc::new(Background(measure_today));
        self.shared.queue.push(Queued { job, expected, deadline }, &*self.shared.clock);
    }
}

const NEVER_POISONED: &str = "nothing panics while it holds the list of threads";

/// Verifying takes the same for every password.
const MEASURED_PASSWORD: &[u8] = b"measured";

impl Drop for HashPool {
    fn drop(&mut self) {
        self.stop();
    }
}

impl PasswordHasher for HashPool {
    fn hash(
        &self,
        password: Password,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<PasswordHash, HashError>> {
        let entropy = self.shared.entropy.clone();
        Box::pin(self.run(self.shared.costs.of_today(), deadline, move |memory| {
            let mut salt = [0; argon2::SALT_BYTES];
            entropy.fill(&mut salt);
            let text = argon2::hash(password.expose().as_bytes(), &salt, memory)?;
            Ok(PasswordHash::from_stored(text))
        }))
    }

    fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Verified, HashError>> {
        let costs = &self.shared.costs;
        let expected = hash.as_ref().map_or_else(|| costs.of_today(), |h| costs.of(&h.kind()));
        Box::pin(self.run(expected, deadline, move |memory| {
            let password = password.expose().as_bytes();
            let stored = hash.as_ref().and_then(|hash| Stored::parse(hash.expose()).ok());
            let Some(stored) = stored else {
                argon2::pretend(password, memory)?;
                return Ok(Verified::No);
            };
            Ok(verdict(&stored, password, memory)?)
        }))
    }

    fn failed_login_span(&self) -> Duration {
        self.shared.costs.failed_login_span()
    }
}

fn verdict(stored: &Stored, password: &[u8], memory: &mut Memory) -> Result<Verified, OutOfMemory> {
    let is_right = stored.verify(password, memory)?;
    let needs_upgrade = stored.needs_upgrade();
    Ok(if is_right { Verified::Yes { needs_upgrade } } else { Verified::No })
}

#[cfg(test)]
mod tests;
