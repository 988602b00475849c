//! Connections: how they are lent, and got rid of.
//!
//! A pool keeps its promises only while the server does. A server that hangs leaves connections
//! that never answer and never close, so every wait here has an end, and a connection whose
//! caller has left is looked after before anybody else gets it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, PoolConfig, PoolError, TimeoutType, Timeouts};
use nightlatch_core::{Clock, Deadline, Entropy};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::CancelToken;
use tokio_postgres::types::Type;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connect::{Connector, SPARES_KEPT};
use super::failure::Failure;
use super::guard::{Admitted, Guard};
use super::options::{PostgresOptions, Target};

/// How long a connection whose caller has left may take to finish its statement.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// How long telling the server to stop a statement may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// The most connections being looked after at once; the others are closed without a word.
const ABANDONED_MAX: usize = 32;

/// How long a look waits for the connection that is apart to be made, before it takes one of the
/// others.
const APART_LIMIT: Duration = Duration::from_millis(250);

/// How long a server that was there a moment ago may be gone before callers are told so: it is
/// started again in this time, and most requests have more.
const RESTART_SPAN: Duration = Duration::from_secs(2);

/// How long such a caller waits before it looks whether it is back: twice as long each time.
const RETURN_WAIT: Duration = Duration::from_millis(50);
const RETURN_WAIT_MAX: Duration = Duration::from_millis(200);

/// The most callers that wait for that; the others are told at once.
const RETURN_WAITING_MAX: usize = 256;

/// A connection in or out of the pool.
type Object = managed::Object<Connector>;

/// The connections of a record.
pub(super) struct Connections {
    pool: managed::Pool<Connector>,
    /// One connection for looks at the feed: nobody else keeps it busy, or loses it by giving up.
    /// On a slow way a new one takes longer than a look may.
    apart: managed::Pool<Connector>,
    /// Opens when the server is silent on the connections that there are.
    answers: Arc<Guard>,
    /// Bounds the calls in the pool's own queue.
    places: Semaphore,
    /// Bounds the calls that wait for a server's return.
    patient: Semaphore,
    abandoned: Arc<Abandoned>,
    clock: Arc<dyn Clock>,
    pub(super) is_pooled: bool,
}

impl Connections {
    /// Connects to nothing yet.
    pub(super) fn new(
        options: &PostgresOptions,
        target: Target,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Self {
        let tls = MakeRustlsConnect::new(target.tls.clone());
        let is_pooled = target.is_pooled;
        let ports = (Arc::clone(&clock), Arc::clone(&entropy));
        let most = options.connections_max.max(1);
        let spares_kept = SPARES_KEPT.min(most - 1);
        let connector = Connector::new((target, spares_kept), tls.clone(), ports);
        let apart = pool_of(connector.twin(), 1);
        let pool = pool_of(connector, most);
        let answers = Arc::new(Guard::new(Arc::clone(&clock), entropy));
        let tasks = Mutex::new(JoinSet::new());
        Self {
            pool,
            apart,
            answers: Arc::clone(&answers),
            places: Semaphore::new(options.waiting_max),
            patient: Semaphore::new(RETURN_WAITING_MAX),
            abandoned: Arc::new(Abandoned { tls, answers, tasks }),
            clock,
            is_pooled,
        }
    }

    /// Lets a statement through, or says at once that the server is silent.
    pub(super) fn admit(&self, doing: &'static str) -> Result<Admitted, Failure> {
        self.answers.admit().map_err(|cause| Failure::of_breaker(cause, doing))
    }

    /// The boot time.
    pub(super) fn now(&self) -> Duration {
        self.clock.boottime()
    }

    /// Why a statement would be told at once that the server is silent.
    pub(super) fn refuses(&self, doing: &'static str) -> Option<Failure> {
        self.answers.refuses().map(|cause| Failure::of_breaker(cause, doing))
    }

    /// Whether callers are told at once that the server is away, or silent.
    pub(super) fn is_refusing(&self) -> bool {
        self.answers.is_open() || self.pool.manager().is_refusing()
    }

    /// What is left until `deadline`.
    pub(super) fn remaining(&self, deadline: Deadline) -> Duration {
        deadline.remaining(&*self.clock)
    }

    /// Waits a moment, longer each `round`, for a server that may be restarting, in a call that began
    /// at `began`; `false`: it is not worth it.
    pub(super) async fn wait_for_return(
        &self,
        (began, round): (Duration, u32),
        deadline: Deadline,
    ) -> bool {
        let Some(away_for) = self.pool.manager().away_for() else { return false };
        let gone_for = away_for.max(self.now().saturating_sub(began));
        let rest = RESTART_SPAN.saturating_sub(gone_for).min(self.remaining(deadline));
        let Ok(_place) = self.patient.try_acquire() else { return false };
        let wait = RETURN_WAIT.saturating_mul(1 << round.min(8)).min(RETURN_WAIT_MAX);
        tokio::time::sleep(rest.min(wait)).await;
        !rest.is_zero()
    }

    /// Lends the connection that is apart, or one of the others where it is not at hand. It is made
    /// to its end all the same, for the next look.
    pub(super) async fn lend_for_look(
        &self,
        doing: &'static str,
        deadline: Deadline,
    ) -> Result<Loan<'_>, Failure> {
        let limit = Some(self.remaining(deadline).min(APART_LIMIT));
        let limits = Timeouts { wait: Some(Duration::ZERO), create: limit, recycle: limit };
        match self.apart.timeout_get(&limits).await {
            Ok(object) => Ok(Loan { object: Some(object), abandoned: &self.abandoned }),
            Err(_) => self.lend(doing, deadline).await,
        }
    }

    /// Lends a connection.
    pub(super) async fn lend(
        &self,
        doing: &'static str,
        deadline: Deadline,
    ) -> Result<Loan<'_>, Failure> {
        let remaining = self.remaining(deadline);
        let Ok(_place) = self.places.try_acquire() else {
            return Err(Failure::of_full_queue(doing));
        };
        let limits =
            Timeouts { wait: Some(remaining), create: Some(remaining), recycle: Some(remaining) };
        let object = self.pool.timeout_get(&limits).await.map_err(|error| match error {
            PoolError::Backend(error) => Failure::of_connecting(error, doing),
            PoolError::Timeout(TimeoutType::Wait | TimeoutType::Create | TimeoutType::Recycle)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => Failure::of_waiting(doing),
        })?;
        Ok(Loan { object: Some(object), abandoned: &self.abandoned })
    }
}

fn pool_of(connector: Connector, connections_max: usize) -> managed::Pool<Connector> {
    managed::Pool::builder(connector)
        .config(PoolConfig::new(connections_max))
        .runtime(Runtime::Tokio1)
        .build()
        .expect("a runtime is named, and nothing else can be wrong")
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

    /// The caller's time is over, the statement's answer is still to come: it is prepared then, or
    /// the next one of its kind would wait twice again.
    pub(super) fn finish_preparing(mut self, sql: &str, types: Vec<Type>) {
        if let Some(object) = self.object.take() {
            self.abandoned.finish(object, Some((sql.to_owned(), types)));
        }
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
            self.abandoned.finish(object, None);
        }
    }
}

/// Looks after connections without a caller, in the background. Ends with the record.
struct Abandoned {
    tls: MakeRustlsConnect,
    answers: Arc<Guard>,
    tasks: Mutex<JoinSet<()>>,
}

impl Abandoned {
    fn cancel(&self, token: CancelToken) {
        // Each takes a connection of its own, and a server that is silent hears none.
        if self.answers.is_open() {
            return;
        }
        let tls = self.tls.clone();
        self.spawn(async move {
            // Whether the server heard it shows in nothing that we could do better.
            let _ = timeout(CANCEL_LIMIT, token.cancel_query(tls)).await;
        });
    }

    fn finish(self: &Arc<Self>, object: Object, statement: Option<(String, Vec<Type>)>) {
        let (this, answers) = (Arc::downgrade(self), Arc::clone(&self.answers));
        let mut busy = Busy(Some(object));
        self.spawn(async move {
            let Some(object) = &busy.0 else { return };
            let token = object.cancel_token();
            // Answered only after everything that was asked before.
            let preparing = async {
                match &statement {
                    Some((sql, types)) => object.prepare_typed_cached(sql, types).await.map(drop),
                    None => Ok(()),
                }
            };
            // One that is prepared already is no answer.
            let finishing = async { tokio::try_join!(preparing, object.check_connection()) };
            if let Ok(Ok(_)) = timeout(FINISH_LIMIT, finishing).await {
                answers.hear();
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
