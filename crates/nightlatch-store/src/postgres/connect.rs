//! Making connections: to the first host that takes writes, a few at a time, and not at all while
//! it is known that there is none.
//!
//! Guarded apart from the statements: a server that takes no more connections, or no longer our
//! password, still answers on those that it has.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// Connections that are kept ready by a process that needs several: on a slow way, making one takes
/// longer than most callers have.
pub(super) const SPARES_KEPT: usize = 8;

/// Makes a pool's connections.
pub(super) struct Connector {
    ways: Arc<Ways>,
    turns: Arc<Semaphore>,
    spares: Arc<Spares>,
    /// How many are kept ready once this pool has needed a second connection.
    spares_kept: usize,
    is_begun: AtomicBool,
    tasks: Mutex<JoinSet<()>>,
}

/// Connections that nobody uses: kept ready, or made for callers who had left before.
#[derive(Default)]
struct Spares {
    clients: Mutex<Vec<ClientWrapper>>,
    is_filling: AtomicBool,
}

/// What is known of the ways to the record.
struct Ways {
    hosts: Vec<Config>,
    tls: MakeRustlsConnect,
    attempt_limit: Duration,
    /// Where to begin: the host that last did well, or the one after one that did not.
    next: AtomicUsize,
    guard: Arc<Guard>,
    clock: Arc<dyn Clock>,
    presence: Mutex<Presence>,
}

/// Whether somebody is there.
#[derive(Clone, Copy, Default)]
struct Presence {
    /// Somebody was, since this process began.
    has_been: bool,
    /// Nobody is, since this boot time.
    away_since: Option<Duration>,
}

impl Connector {
    /// Whether nobody is let through to make a connection.
    pub(super) fn is_refusing(&self) -> bool {
        self.ways.guard.is_open()
    }

    pub(super) fn new(
        (target, spares_kept): (Target, usize),
        tls: MakeRustlsConnect,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Self {
        let first = if target.begins_anywhere { random(&*entropy) } else { 0 };
        let ways = Ways {
            hosts: target.hosts,
            tls,
            attempt_limit: target.attempt_limit,
            next: AtomicUsize::new(first),
            guard: Arc::new(Guard::new(Arc::clone(&clock), entropy)),
            clock,
            presence: Mutex::default(),
        };
        Self::along(Arc::new(ways), spares_kept)
    }

    /// Makes the connections of another pool, which keeps none ready, by what this one knows of the
    /// ways.
    pub(super) fn twin(&self) -> Self {
        Self::along(Arc::clone(&self.ways), 0)
    }

    /// For how long a server that was there has not been; `None`: it never was.
    pub(super) fn away_for(&self) -> Option<Duration> {
        let (presence, now) = (*self.ways.presence(), self.ways.clock.boottime());
        let away_for = presence.away_since.map_or(Duration::ZERO, |at| now.saturating_sub(at));
        presence.has_been.then_some(away_for)
    }

    fn along(ways: Arc<Ways>, spares_kept: usize) -> Self {
        Self {
            ways,
            turns: Arc::new(Semaphore::new(CONNECTING_MAX)),
            spares: Arc::default(),
            spares_kept,
            is_begun: AtomicBool::new(false),
            tasks: Mutex::default(),
        }
    }

    /// Makes those that are to be kept ready. Only after one was made for a caller: the server is
    /// there, and has room.
    fn fill_spares(&self) {
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else { return };
        if self.spares.is_filling.swap(true, Ordering::AcqRel) {
            return;
        }
        let (ways, spares) = (Arc::clone(&self.ways), Arc::clone(&self.spares));
        let kept = self.spares_kept;
        self.spawn(async move {
            while spares.len() < kept {
                // Nobody waits for it: whether the server is there, others find out.
                let Some(client) = ways.make_spare().await else { break };
                spares.add(client);
            }
            spares.is_filling.store(false, Ordering::Release);
            drop(turn);
        });
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
            ways.note(connected.as_ref().err());
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
            Ok(Ok(connected)) => {
                if connected.is_ok() && self.is_begun.swap(true, Ordering::Relaxed) {
                    self.fill_spares();
                }
                connected
            }
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
        self.ways.note(None);
        Ok(())
    }
}

impl Ways {
    async fn try_each(&self) -> Result<ClientWrapper, ConnectError> {
        let mut failure = ConnectError::Silent;
        for _ in 0..self.hosts.len() {
            let turn = self.next.load(Ordering::Relaxed);
            let host = &self.hosts[turn % self.hosts.len()];
            match timeout(self.attempt_limit, connect(host, &self.tls)).await {
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

    /// Notes that somebody is there, or that connecting failed: with nobody, not by a refusal.
    fn note(&self, failure: Option<&ConnectError>) {
        let mut presence = self.presence();
        match failure.map(ConnectError::cause) {
            None => *presence = Presence { has_been: true, away_since: None },
            Some(cause) if cause.is_absence() => {
                presence.away_since.get_or_insert_with(|| self.clock.boottime());
            }
            Some(_) => {}
        }
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make_spare(&self) -> Option<ClientWrapper> {
        let admitted = self.guard.admit().ok()?;
        if admitted.is_probe() {
            admitted.settle(CallEnd::Nothing);
            return None;
        }
        let connected = self.try_each().await;
        self.note(connected.as_ref().err());
        admitted.settle(if connected.is_ok() { CallEnd::Answered } else { CallEnd::Nothing });
        connected.ok()
    }
}

/// Makes one connection to one host.
pub(super) async fn connect(
    host: &Config,
    tls: &MakeRustlsConnect,
) -> Result<ClientWrapper, Error> {
    let (client, connection) = host.connect(tls.clone()).await?;
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

impl Spares {
    fn take(&self) -> Option<ClientWrapper> {
        let mut clients = self.lock();
        clients.retain(|client| !client.is_closed());
        clients.pop()
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn add(&self, client: ClientWrapper) {
        self.lock().push(client);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ClientWrapper>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random(entropy: &dyn Entropy) -> usize {
    let mut byte = [0];
    entropy.fill(&mut byte);
    usize::from(byte[0])
}
