//! Making connections: to the first host that takes writes, a few at a time, and not at all while
//! it is known that there is none.
//!
//! Guarded apart from the statements: a server that takes no more connections, or no longer our
//! password, still answers on those that it has.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use nightlatch_core::{Clock, Entropy};
use nightlatch_resilience::CallEnd;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::{Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::ConnectError;
use super::guard::{Guard, PROBE_SPAN};
use super::options::Target;

/// Connections that are being made at once: a server that comes back is not met by all of ours.
const CONNECTING_MAX: usize = 4;

/// Makes a pool's connections.
pub(super) struct Connector {
    ways: Arc<Ways>,
    turns: Arc<Semaphore>,
    spares: Arc<Spares>,
    tasks: Mutex<JoinSet<()>>,
}

/// Connections whose callers had left before they were made; as many as turns at most.
#[derive(Default)]
struct Spares(Mutex<Vec<ClientWrapper>>);

/// What is known of the ways to the record.
struct Ways {
    hosts: Vec<Config>,
    tls: MakeRustlsConnect,
    attempt_limit: Duration,
    /// Where to begin: the host that last did well, or the one after one that did not.
    next: AtomicUsize,
    guard: Arc<Guard>,
}

impl Connector {
    pub(super) fn new(
        target: Target,
        tls: MakeRustlsConnect,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Self {
        let first = if target.begins_anywhere { random(&*entropy) } else { 0 };
        let ways = Ways {
            hosts: target.hosts,
            tls,
            attempt_limit: target.attempt_limit,
            next: AtomicUsize::new(first),
            guard: Arc::new(Guard::new(clock, entropy)),
        };
        Self::along(Arc::new(ways))
    }

    /// Makes the connections of another pool, by what this one knows of the ways.
    pub(super) fn twin(&self) -> Self {
        Self::along(Arc::clone(&self.ways))
    }

    fn along(ways: Arc<Ways>) -> Self {
        Self {
            ways,
            turns: Arc::new(Semaphore::new(CONNECTING_MAX)),
            spares: Arc::default(),
            tasks: Mutex::default(),
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

impl Manager for Connector {
    type Type = ClientWrapper;
    type Error = ConnectError;

    /// Goes on when the caller leaves: on a slow way a connection takes longer than most callers
    /// have, and the next one shall find it made.
    async fn create(&self) -> Result<ClientWrapper, ConnectError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.expect("the semaphore is never closed");
        if let Some(client) = self.spares.take() {
            return Ok(client);
        }
        let admitted = self.ways.guard.admit().map_err(ConnectError::KnownAway)?;
        let limit = if admitted.is_probe() { PROBE_SPAN } else { Duration::MAX };
        let (tell, told) = oneshot::channel();
        let (ways, spares) = (Arc::clone(&self.ways), Arc::clone(&self.spares));
        self.spawn(async move {
            let connected = ways.try_each().await;
            admitted.settle(match &connected {
                Ok(_) => CallEnd::Answered,
                Err(error) => CallEnd::Failed(error.cause()),
            });
            if let Err(Ok(unclaimed)) = tell.send(connected) {
                spares.add(unclaimed);
            }
            drop(turn);
        });
        match timeout(limit, told).await {
            Ok(Ok(connected)) => connected,
            // The task ends without a word only with the record.
            Ok(Err(_)) | Err(_) => Err(ConnectError::Silent),
        }
    }

    async fn recycle(
        &self,
        client: &mut ClientWrapper,
        _: &Metrics,
    ) -> RecycleResult<ConnectError> {
        if client.is_closed() {
            return Err(RecycleError::message("it was closed"));
        }
        Ok(())
    }
}

impl Ways {
    async fn try_each(&self) -> Result<ClientWrapper, ConnectError> {
        let mut failure = ConnectError::Silent;
        for _ in 0..self.hosts.len() {
            let turn = self.next.load(Ordering::Relaxed);
            let host = &self.hosts[turn % self.hosts.len()];
            match timeout(self.attempt_limit, self.connect_to(host)).await {
                Ok(Ok(client)) => return Ok(client),
                Ok(Err(error)) => failure = ConnectError::Driver(error),
                Err(_) => {}
            }
            // Only one of those who met this host moves on.
            let after = turn.wrapping_add(1);
            let _ = self.next.compare_exchange(turn, after, Ordering::Relaxed, Ordering::Relaxed);
        }
        Err(failure)
    }

    async fn connect_to(&self, host: &Config) -> Result<ClientWrapper, Error> {
        let (client, connection) = host.connect(self.tls.clone()).await?;
        #[expect(
            clippy::disallowed_methods,
            reason = "ends with its connection: the wrapper aborts it"
        )]
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the record ended");
            }
        });
        Ok(ClientWrapper::new(client, task))
    }
}

impl Spares {
    fn take(&self) -> Option<ClientWrapper> {
        let mut clients = self.lock();
        clients.retain(|client| !client.is_closed());
        clients.pop()
    }

    fn add(&self, client: ClientWrapper) {
        self.lock().push(client);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ClientWrapper>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random(entropy: &dyn Entropy) -> usize {
    let mut byte = [0];
    entropy.fill(&mut byte);
    usize::from(byte[0])
}
