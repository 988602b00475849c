//! Serving: from the configuration to the last answer.
//!
//! The server listens as soon as it can serve, or knows that the record does not answer: then it is live
//! and not ready, says 503, and becomes ready by itself. A stop loses no request that was taken in.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nightlatch_core::{Keys, StoreError};
use nightlatch_store::cached::CachedRecord;
use nightlatch_store::throttle::LOOK_EVERY;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{Accelerator, Base, Beside, Node, limits_by_scope};
use crate::background::Jobs;
use crate::config::{Config, Loaded, Report};
use crate::descriptors;
use crate::health::{AUTH_SERVICE, Health, Optional};
use crate::heartbeat;
use crate::http::app::{App, Settings};
use crate::http::metrics::metrics_routes;
use crate::http::server::Drain;
use crate::http::waiting::waiting_routes;
use crate::http::{Routes, routes};
use crate::jwt::Jwt;
use crate::listening::{Accepting, Bound};
use crate::metrics::{Metrics, Watched};
use crate::past;
use crate::standing;
use crate::status::Board;
use crate::traces::Traces;

/// How long a start waits between two tries to use the record.
const START_RETRY_EVERY: Duration = Duration::from_millis(500);

/// How long one try to bring the schema up to date may take.
const MIGRATE_DEADLINE: Duration = Duration::from_mins(1);

/// Connections to the address of the metrics: a few that scrape, and a person who looks.
const METRICS_CONNECTIONS_MAX: usize = 64;

/// How long load balancers get to notice that a server stops.
const LEAVE: Duration = Duration::from_secs(2);

/// How long a stop waits to write what is still in memory.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(2);

/// Serves until the process is told to stop.
///
/// # Errors
/// What login cannot do without: the address to listen on, the record's configuration, the keys.
pub async fn serve(loaded: Loaded) -> anyhow::Result<()> {
    let Loaded { config, report } = loaded;
    let config = Arc::new(config);
    let connections_max = descriptors::raise_limit();
    let base = Base::open(&config)?;
    let local_keys = base.local_keys(&config)?;
    let bound = Bound::take("NIGHTLATCH_LISTEN", config.web.listen)?;
    let of_metrics = Bound::take_if_set("NIGHTLATCH_METRICS_LISTEN", config.web.metrics_listen)?;

    let (tasks, connections) = (TaskTracker::new(), TaskTracker::new());
    let stop = CancellationToken::new();
    let traces = Traces::start(&config, &base.entropy, (&tasks, &stop));
    let metrics = Arc::new(Metrics::new(traces.clone()));
    let accelerator = Accelerator::open(&base, &config, metrics.calls("redis"));
    let has =
        Optional { redis: accelerator.is_some(), auth_service: config.auth_service.is_some() };
    let health = Arc::new(Health::new(Arc::clone(&base.clock), has, config.throttle.disabled));
    metrics.watch_health(Arc::clone(&health));
    let (driver, drain) = Drain::new();
    let settings = Settings::of(&config, bound.address());
    let board = Board::new(Arc::clone(&base.clock), Arc::clone(&health), Arc::clone(&metrics));
    let board = Arc::new(board);
    let told = (Arc::clone(&health), Arc::clone(&metrics));
    let waiting = waiting_routes(&settings, told.0, told.1, Arc::clone(&board));
    let (publish, published) = watch::channel(waiting);
    let on = |routes, connections_max| {
        let (drain, connections) = (drain.clone(), connections.clone());
        Accepting { routes, drain, connections, connections_max }
    };
    let of_operators = of_metrics
        .map(|bound| serve_metrics(bound, metrics_routes(&settings, &metrics, &board, None), on));
    let of_operators = of_operators.transpose()?;
    announce(&config, &report, bound.address());

    let tried = CancellationToken::new();
    let opening = on(published, connections_max).people_after(&tried, bound);
    let starting = Starting {
        config: Arc::clone(&config),
        health: Arc::clone(&health),
        accelerator,
        metrics,
        traces,
        board,
        settings,
        tasks: tasks.clone(),
        stop: stop.clone(),
    };
    let started = async {
        let begun = starting.run(base, local_keys, (publish, of_operators), &tried);
        tokio::try_join!(begun, opening).map(|(node, ())| node)
    };
    let node = StopSignal::new()?.received_after(pin!(started)).await?;

    health.stop();
    tracing::info!(event = "server.stopping");
    connections.close();
    let leave = if config.environment.is_development() { Duration::ZERO } else { LEAVE };
    driver.run(leave, config.limits.drain, connections.wait()).await;
    stop.cancel();
    tasks.close();
    if let Some(node) = node {
        farewell(node).await;
    }
    if tokio::time::timeout(FAREWELL_DEADLINE, tasks.wait()).await.is_err() {
        tracing::warn!(event = "server.tasks_cut");
    }
    tracing::info!(event = "server.stopped");
    Ok(())
}

/// Serves metrics from now on; the operators' page, which waits for the record, is put in later.
fn serve_metrics(
    bound: Bound,
    routes: Routes,
    on: impl FnOnce(watch::Receiver<Routes>, usize) -> Accepting,
) -> anyhow::Result<watch::Sender<Routes>> {
    let (publish, published) = watch::channel(routes);
    on(published, METRICS_CONNECTIONS_MAX).metrics(bound)?;
    Ok(publish)
}

/// What a start needs beside the record.
struct Starting {
    config: Arc<Config>,
    health: Arc<Health>,
    accelerator: Option<Accelerator>,
    metrics: Arc<Metrics>,
    traces: Option<Arc<Traces>>,
    board: Arc<Board>,
    settings: Settings,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A node that serves.
struct Serving {
    node: Node,
    app: Arc<App>,
}

impl Starting {
    /// Brings the node up: keys, routes, then, as soon as the record answers, schema and counters.
    async fn run(
        self,
        base: Base,
        keys: Option<Keys>,
        (publish, of_operators): (watch::Sender<Routes>, Option<watch::Sender<Routes>>),
        tried: &CancellationToken,
    ) -> anyhow::Result<Serving> {
        let Self { tasks, stop, .. } = &self;
        let copies = base.with_copies(&self.config, self.metrics.calls("database"));
        let following = Arc::clone(&self.health).watch(Arc::clone(&copies), tried.clone());
        tasks.spawn(stop.clone().run_until_cancelled_owned(following));
        let sampling = Arc::clone(&self.board).run();
        tasks.spawn(stop.clone().run_until_cancelled_owned(sampling));
        let keys = match keys {
            Some(keys) => keys,
            None => self.wait_for_keys(&base, tried).await,
        };
        let jwt = base.access_tokens(&self.config, &keys, Arc::clone(&copies) as _);
        let observer = (Arc::clone(&self.health) as _, self.metrics.calls(AUTH_SERVICE));
        let auth_service = base.auth_service(&self.config, observer);
        if let Some(auth_service) = &auth_service {
            let watching = Arc::clone(auth_service).watch();
            tasks.spawn(stop.clone().run_until_cancelled_owned(watching));
        }
        let beside = Beside {
            record: Arc::clone(&copies) as _,
            announcer: Arc::clone(&copies) as _,
            access_tokens: Arc::clone(&jwt) as _,
            auth_service: auth_service.clone().map(|service| service as _),
        };
        let node = base.assemble(&self.config, keys, beside)?;
        if let Some(accelerator) = self.accelerator.clone() {
            let of = (Arc::clone(&node.service), Arc::clone(&node.throttle));
            let observer = Arc::clone(&self.health);
            let running = accelerator.run(of, Arc::clone(&copies), observer);
            tasks.spawn(stop.clone().run_until_cancelled_owned(running));
        }
        let app = self.app(&node, Arc::clone(&jwt));
        let hasher = Arc::clone(&node.hasher);
        self.metrics.watch(Watched {
            copies: Arc::clone(&copies),
            record: node.base.record.clone(),
            accelerator: self.accelerator.clone(),
            auth_service,
            throttle: Arc::clone(&node.throttle),
            hashing: Box::new(move || hasher.state()),
            service: Arc::clone(&node.service),
            jwt: Arc::clone(&jwt),
            traffic: Arc::clone(&app.traffic),
        });
        publish.send_replace(routes(&app));
        if let Some(publish) = of_operators {
            let routes = metrics_routes(&self.settings, &self.metrics, &self.board, Some(&app));
            publish.send_replace(routes);
        }
        tasks.spawn(Arc::clone(&node.throttle).run(stop.clone().cancelled_owned()));
        self.wait_for_record(&node, tried).await;
        let beating = heartbeat::run(Arc::clone(&node.service));
        tasks.spawn(stop.clone().run_until_cancelled_owned(beating));
        if let Some(every) = self.config.auth_service.as_ref().and_then(|it| it.revalidate) {
            let rounds = standing::run(Arc::clone(&node.service), every);
            tasks.spawn(stop.clone().run_until_cancelled_owned(rounds));
        }
        self.start_jobs(&node, (copies, jwt));
        Ok(Serving { node, app })
    }

    fn start_jobs(&self, node: &Node, (record, access_tokens): (Arc<CachedRecord>, Arc<Jwt>)) {
        let Self { tasks, stop, .. } = self;
        let jobs = Jobs {
            service: Arc::clone(&node.service),
            record,
            hasher: Arc::clone(&node.hasher),
            access_tokens,
            audit_retention: self.config.audit_retention,
        };
        tasks.spawn(stop.clone().run_until_cancelled_owned(jobs.clone().learn_keys()));
        tasks.spawn(stop.clone().run_until_cancelled_owned(jobs.clone().learn_kinds()));
        jobs.start(tasks, stop);
    }

    /// In development on PostgreSQL the keys are in the record.
    async fn wait_for_keys(&self, base: &Base, tried: &CancellationToken) -> Keys {
        loop {
            let migrated = base.record.port().migrate(base.within(MIGRATE_DEADLINE)).await;
            if let Err(error) = migrated {
                tracing::debug!(event = "server.waiting_for_record", error = %error);
            } else {
                match base.shared_keys(&self.config, base.within(MIGRATE_DEADLINE)).await {
                    Ok(keys) => return keys,
                    Err(error) => {
                        tracing::debug!(event = "server.waiting_for_keys", error = %error);
                    }
                }
            }
            tried.cancel();
            tokio::time::sleep(START_RETRY_EVERY).await;
        }
    }

    /// Migrates and loads what throttles have counted; until then the record's answers are errors
    /// and nothing is let through.
    async fn wait_for_record(&self, node: &Node, tried: &CancellationToken) {
        let record = node.base.record.port();
        loop {
            let deadline = node.base.within(MIGRATE_DEADLINE);
            match record.migrate(deadline).await {
                Ok(applied) if applied.is_empty() => break,
                Ok(applied) => {
                    tracing::info!(event = "record.migrated", applied = applied.join(","));
                    break;
                }
                Err(error) => tracing::debug!(event = "server.waiting_for_record", error = %error),
            }
            tried.cancel();
            tokio::time::sleep(START_RETRY_EVERY).await;
        }
        past::tell(&node.base).await;
        loop {
            match self.meet_the_others(node).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::debug!(event = "server.waiting_for_counters", error = %error);
                }
            }
            tried.cancel();
            tokio::time::sleep(START_RETRY_EVERY).await;
        }
        // Not ready before: logins are refused until the counters are loaded.
        tried.cancel();
    }

    /// Nothing is let through before it is known how many share the limits and what has been
    /// counted, and before the others know of this node: they would give its share away.
    async fn meet_the_others(&self, node: &Node) -> Result<(), StoreError> {
        // A login that is dated by this machine's own clock could be over on the other nodes.
        node.base.follow_clock(node.base.within(MIGRATE_DEADLINE)).await?;
        if node.service.beat(node.base.within(MIGRATE_DEADLINE)).await? > 1 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let limits = limits_by_scope(&self.config);
        node.throttle.load(&limits, node.base.within(MIGRATE_DEADLINE)).await?;
        Ok(())
    }

    fn app(&self, node: &Node, jwt: Arc<Jwt>) -> Arc<App> {
        Arc::new(App {
            service: Arc::clone(&node.service),
            jwt,
            settings: self.settings.clone(),
            health: Arc::clone(&self.health),
            tasks: self.tasks.clone(),
            traffic: Arc::default(),
            metrics: Arc::clone(&self.metrics),
            board: Arc::clone(&self.board),
            sockets: Arc::default(),
            traces: self.traces.clone(),
        })
    }
}

/// Says where the server can be found, what it was configured by, and what is wrong with that.
fn announce(config: &Config, report: &Report, bound: SocketAddr) {
    for line in report.start_block(config, bound) {
        tracing::info!(event = "server.configured", "{line}");
    }
    for problem in &report.problems {
        tracing::warn!(event = "config.problem", finding = problem.id, "{problem}");
    }
    if let Some(warning) = report.env_file_warning() {
        tracing::warn!(event = "config.env_files", "{warning}");
    }
    if config.throttle.disabled {
        tracing::warn!(event = "throttle.disabled", "DISABLE_THROTTLING: guesses are not limited");
    }
}

/// Writes what is still in memory.
async fn farewell(serving: Serving) {
    let Serving { node, app } = serving;
    let deadline = node.base.within(FAREWELL_DEADLINE);
    for (what, written) in [
        ("last_seen", node.service.flush_last_seen(deadline).await),
        ("pending", node.service.retry_pending(deadline).await),
        ("leave", node.service.leave(deadline).await),
    ] {
        if let Err(error) = written {
            tracing::warn!(event = "server.not_written", what, error = %error);
        }
    }
    let (requests, session_checks, health) = app.traffic.totals();
    tracing::info!(event = "server.served", requests, session_checks, health);
    node.hasher.stop();
}

/// SIGTERM and SIGINT.
struct StopSignal {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignal {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for it, and meanwhile for a start, which may not have come to its end.
    async fn received_after<T>(
        mut self,
        started: Pin<&mut impl Future<Output = anyhow::Result<T>>>,
    ) -> anyhow::Result<Option<T>> {
        let started = tokio::select! {
            biased;
            () = self.received() => return Ok(None),
            started = started => started?,
        };
        self.received().await;
        Ok(Some(started))
    }

    async fn received(&mut self) {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
