//! Connections: how they are made, lent, and got rid of.
//!
//! A pool keeps its promises only while the server does. A server that hangs leaves connections
//! that never answer and never close, so every wait here has an end, and a connection whose
//! caller has left is looked after before anybody else gets it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{
    Connect, Manager, ManagerConfig, Object, Pool, PoolConfig, PoolError, RecyclingMethod, Runtime,
    TimeoutType, Timeouts,
};
use nightlatch_core::{
    Clock, Deadline, Entropy, FailureClass, Outcome, StoreError, StoreErrorKind,
};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_postgres::{CancelToken, Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{Failure, Sent};
use super::options::{PostgresOptions, Target};

/// How long a connection whose caller has left may take to finish its statement.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// How long telling the server to stop a statement may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// The most connections being looked after at once; the others are closed without a word.
const ABANDONED_MAX: usize = 32;

/// The connections of a record.
pub(super) struct Connections {
    pool: Pool,
    /// Bounds the calls in the pool's own queue.
    places: Semaphore,
    abandoned: Arc<Abandoned>,
    clock: Arc<dyn Clock>,
    pub(super) is_pooled: bool,
}

impl Connections {
    /// Connects to nothing yet.
    pub(super) fn new(
        options: &PostgresOptions,
        target: Target,
        (clock, entropy): (Arc<dyn Clock>, &dyn Entropy),
    ) -> Self {
        let first_host = if target.begins_anywhere { random(entropy) } else { 0 };
        let tls = MakeRustlsConnect::new(target.tls);
        let first = target.hosts.first().cloned().unwrap_or_default();
        let hosts = HostsInTurn {
            hosts: target.hosts,
            tls: tls.clone(),
            attempt_limit: target.attempt_limit,
            next: AtomicUsize::new(first_host),
        };
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(first, hosts, recycling);
        let connections_max = options.connections_max.max(1);
        let pool = Pool::builder(manager)
            .config(PoolConfig::new(connections_max))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a runtime is named, and nothing else can be wrong");
        Self {
            pool,
            places: Semaphore::new(options.waiting_max),
            abandoned: Arc::new(Abandoned { tls, tasks: Mutex::new(JoinSet::new()) }),
            clock,
            is_pooled: target.is_pooled,
        }
    }

    /// What is left until `deadline`.
    pub(super) fn remaining(&self, deadline: Deadline) -> Duration {
        deadline.remaining(&*self.clock)
    }

    /// Lends a connection.
    pub(super) async fn lend(
        &self,
        doing: &'static str,
        deadline: Deadline,
    ) -> Result<Loan<'_>, Failure> {
        let remaining = self.remaining(deadline);
        if remaining.is_zero() {
            return Err(Failure::of_deadline(Sent::Nothing, doing));
        }
        let Ok(_place) = self.places.try_acquire() else {
            let (kind, class) = (StoreErrorKind::Overloaded, FailureClass::Busy);
            let error = StoreError::new(kind, class, Outcome::NotApplied, doing);
            return Err(Failure { error, may_repeat: false, spoils_connection: false });
        };
        let limits =
            Timeouts { wait: Some(remaining), create: Some(remaining), recycle: Some(remaining) };
        let object = self.pool.timeout_get(&limits).await.map_err(|error| match error {
            PoolError::Backend(error) => Failure::of_connecting(error, doing),
            PoolError::Timeout(TimeoutType::Wait | TimeoutType::Create | TimeoutType::Recycle)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => Failure::of_deadline(Sent::Nothing, doing),
        })?;
        Ok(Loan { object: Some(object), abandoned: &self.abandoned })
    }
}

fn random(entropy: &dyn Entropy) -> usize {
    let mut byte = [0];
    entropy.fill(&mut byte);
    usize::from(byte[0])
}

/// A lent connection. Dropping it without [`Self::give_back`] means that a statement may still be
/// running in it.
pub(super) struct Loan<'a> {
    object: Option<Object>,
    abandoned: &'a Arc<Abandoned>,
}

impl Loan<'_> {
    pub(super) fn client(&self) -> &Object {
        self.object.as_ref().expect("it is taken only by methods that consume the loan")
    }

    /// Nothing is running in it: the next one may have it.
    pub(super) fn give_back(mut self) {
        drop(self.object.take());
    }

    /// Nothing is running in it, but it will serve nobody.
    pub(super) fn discard(mut self) {
        drop(self.object.take().map(Object::take));
    }

    /// A statement has outlived its deadline: the connection is closed, and the server told.
    pub(super) fn cancel(mut self) {
        if let Some(object) = self.object.take() {
            self.abandoned.cancel(object.cancel_token());
            drop(Object::take(object));
        }
    }
}

impl Drop for Loan<'_> {
    /// The caller has left (a client hung up). What it asked for may go on to its end; making a
    /// new connection for each who leaves would let anybody keep the server busy with that.
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            self.abandoned.finish(object);
        }
    }
}

/// Looks after connections without a caller, in the background. Ends with the record.
struct Abandoned {
    tls: MakeRustlsConnect,
    tasks: Mutex<JoinSet<()>>,
}

impl Abandoned {
    fn cancel(&self, token: CancelToken) {
        let tls = self.tls.clone();
        self.spawn(async move {
            // Whether the server heard it shows in nothing that we could do better.
            let _ = timeout(CANCEL_LIMIT, token.cancel_query(tls)).await;
        });
    }

    fn finish(self: &Arc<Self>, object: Object) {
        let this = Arc::downgrade(self);
        let mut busy = Busy(Some(object));
        self.spawn(async move {
            let Some(object) = &busy.0 else { return };
            let token = object.cancel_token();
            // Answered only after everything that was asked before.
            if let Ok(Ok(())) = timeout(FINISH_LIMIT, object.check_connection()).await {
                drop(busy.0.take());
                return;
            }
            drop(busy);
            if let Some(this) = this.upgrade() {
                this.cancel(token);
            }
        });
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Dropped outside the runtime, when the process is ending.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if tasks.len() < ABANDONED_MAX {
            tasks.spawn_on(task, &runtime);
        }
    }
}

/// A connection in which something is running: it goes back to the pool only when taken out.
struct Busy(Option<Object>);

impl Drop for Busy {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

/// Connects to the first host that takes writes.
struct HostsInTurn {
    hosts: Vec<Config>,
    tls: MakeRustlsConnect,
    attempt_limit: Duration,
    /// Where to begin: the host that last did well, or the one after one that did not.
    next: AtomicUsize,
}

type Connecting<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + 'a>>;

impl Connect for HostsInTurn {
    fn connect(&self, _config: &Config) -> Connecting<'_> {
        Box::pin(async move {
            // Hosts that hang are tried in turn until the pool's own limit, which is always set.
            loop {
                if let Some(result) = self.try_each().await {
                    return result;
                }
            }
        })
    }
}

impl HostsInTurn {
    /// `None`: each hung for as long as it may.
    async fn try_each(&self) -> Option<Result<(Client, JoinHandle<()>), Error>> {
        let mut failure = None;
        for _ in 0..self.hosts.len() {
            let turn = self.next.load(Ordering::Relaxed);
            let host = &self.hosts[turn % self.hosts.len()];
            match timeout(self.attempt_limit, host.connect(self.tls.clone())).await {
                Ok(Ok((client, connection))) => {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "ends with its connection: the pool aborts it"
                    )]
                    let task = tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a connection to the record ended");
                        }
                    });
                    return Some(Ok((client, task)));
                }
                Ok(Err(error)) => failure = Some(error),
                Err(_) => {}
            }
            // Only one of those who met this host moves on.
            let after = turn.wrapping_add(1);
            let _ = self.next.compare_exchange(turn, after, Ordering::Relaxed, Ordering::Relaxed);
        }
        failure.map(Err)
    }
}
