//! The one task that takes spans to the collector, in batches, and never longer than it may.
//!
//! The library's own exporters read the environment behind the configuration's back, and do not say how
//! they failed: this one has the connections of the server, and classes of failures by their names.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use nightlatch_core::{Clock, Entropy};
use nightlatch_resilience::{Backoff, Dependency, HealthLine, HealthState};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::outcome::{self, Refusal};
use super::tallies::{Fate, Tallies};
use crate::config::TracesConfig;
use crate::outbound::Connections;

/// The most spans of one export: some hundred kilobytes.
const BATCH_MAX: usize = 512;

/// How long a span waits for others to go with it.
const LINGER: Duration = Duration::from_secs(1);

/// How long a connection, and then the answer to an export, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the same is sent at most, and what lies between.
const ATTEMPTS_MAX: u32 = 3;
const BETWEEN_ATTEMPTS: Backoff =
    Backoff { base: Duration::from_secs(1), max: Duration::from_secs(5) };

/// The longest that a collector may have us wait. What waits meanwhile has its own limit.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);

/// How long a stop waits for what is still to be told.
const FAREWELL_LIMIT: Duration = Duration::from_millis(1500);

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("nightlatch/", env!("CARGO_PKG_VERSION")));

/// Takes spans to the collector.
pub(super) struct Delivery {
    waiting: Receiver<SpanData>,
    batch: Vec<SpanData>,
    collector: Collector,
    tallies: Arc<Tallies>,
    health: Dependency,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Where spans go, and what is said to it.
struct Collector {
    connections: Connections,
    path: String,
    headers: HeaderMap,
    has_headers: bool,
    resource: ResourceAttributesWithSchema,
}

impl Delivery {
    pub(super) fn new(
        config: &TracesConfig,
        resource: &Resource,
        (waiting, tallies): (Receiver<SpanData>, Arc<Tallies>),
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Self {
        let collector = Collector::new(config, resource);
        let health = Dependency::new("collector");
        let batch = Vec::with_capacity(BATCH_MAX);
        Self { waiting, batch, collector, tallies, health, clock, entropy }
    }

    /// Delivers until the server stops, and then what is left, for a moment.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let limit = async {
            stop.cancelled().await;
            sleep(FAREWELL_LIMIT).await;
        };
        tokio::select! {
            biased;
            () = self.deliver_all(&stop) => {}
            () = limit => tracing::warn!(event = "traces.not_written"),
        }
    }

    async fn deliver_all(&mut self, stop: &CancellationToken) {
        while self.gather(stop).await {
            self.deliver(stop).await;
        }
    }

    /// Whether there is a batch; if not, there never will be.
    async fn gather(&mut self, stop: &CancellationToken) -> bool {
        loop {
            let waiting =
                timeout(Dependency::FOLD, self.waiting.recv_many(&mut self.batch, BATCH_MAX));
            tokio::select! {
                biased;
                received = waiting => match received {
                    Ok(0) => return false,
                    Ok(_) => break,
                    Err(_elapsed) => {}
                },
                () = stop.cancelled() => {
                    self.waiting.close();
                    return self.waiting.recv_many(&mut self.batch, BATCH_MAX).await > 0;
                }
            }
            tell(self.health.tick(self.clock.boottime()));
        }
        let due = Instant::now() + LINGER;
        while self.batch.len() < BATCH_MAX && !stop.is_cancelled() {
            let room = BATCH_MAX - self.batch.len();
            let more = timeout_at(due, self.waiting.recv_many(&mut self.batch, room));
            let received = tokio::select! {
                biased;
                received = more => received,
                () = stop.cancelled() => break,
            };
            if !matches!(received, Ok(1..)) {
                break;
            }
        }
        true
    }

    /// Sends the batch, again if that may help, and counts what became of it.
    async fn deliver(&mut self, stop: &CancellationToken) {
        let spans = u64::try_from(self.batch.len()).unwrap_or(u64::MAX);
        let body = self
            .collector
            .encode(std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_MAX)));
        for attempt in 0..ATTEMPTS_MAX {
            let began = self.clock.boottime();
            let exported = self.collector.export(body.clone()).await;
            let refusal = match exported {
                Ok(rejected) => {
                    let rejected = rejected.min(spans);
                    self.tallies.add(Fate::Rejected, rejected);
                    self.tallies.add(Fate::Exported, spans - rejected);
                    self.observe(Ok(()), began);
                    return;
                }
                Err(refusal) => refusal,
            };
            let is_last = attempt + 1 == ATTEMPTS_MAX || stop.is_cancelled();
            let Some(again_after) = refusal.again_after.filter(|_| !is_last) else {
                self.observe(Err(refusal), began);
                break;
            };
            let jitter = BETWEEN_ATTEMPTS.delay(attempt, self.entropy.bits());
            let wait = again_after.min(AGAIN_AFTER_MAX).max(jitter);
            // Who stops tries once more at once.
            let _ = timeout(wait, stop.cancelled()).await;
        }
        self.tallies.add(Fate::Failed, spans);
    }

    fn observe(&mut self, outcome: Result<(), Refusal>, began: Duration) {
        let outcome = outcome.map_err(|refusal| refusal.class.as_str());
        tell(self.health.observe(outcome, began, self.clock.boottime()));
    }
}

/// One line for each change, however many exports there were.
fn tell(line: Option<HealthLine>) {
    let Some(HealthLine { state, was_down_for, changes, .. }) = line else { return };
    match state {
        HealthState::Down { class } => {
            tracing::warn!(event = "traces.export_failed", class, changes);
        }
        HealthState::Up => {
            let was_down_s = was_down_for.map(|span| span.as_secs());
            tracing::info!(event = "traces.exported_again", was_down_s, changes);
        }
        HealthState::Unknown => {}
    }
}

impl Collector {
    fn new(config: &TracesConfig, resource: &Resource) -> Self {
        let ca_file = config.ca_file.as_deref();
        let connections = Connections::new(config.origin.clone(), ca_file, CONNECT_TIMEOUT);
        let mut headers: HeaderMap = config.headers.iter().cloned().collect();
        headers.entry(USER_AGENT).or_insert(AGENT);
        headers.insert(CONTENT_TYPE, PROTOBUF);
        if let Ok(host) = HeaderValue::try_from(config.origin.authority()) {
            headers.insert(HOST, host);
        }
        Self {
            connections,
            path: config.path.clone(),
            headers,
            has_headers: !config.headers.is_empty(),
            resource: resource.into(),
        }
    }

    fn encode(&self, batch: Vec<SpanData>) -> Bytes {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec())
    }

    /// How many of the spans it did not want.
    async fn export(&self, body: Bytes) -> Result<u64, Refusal> {
        let mut connection = self.connections.get(CONNECT_TIMEOUT).await?;
        let answer = connection.exchange(self.request(body), EXPORT_TIMEOUT).await?;
        self.connections.keep(connection);
        outcome::read(&answer, self.has_headers)
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.parse().unwrap_or_else(|_| Uri::from_static("/v1/traces"));
        request.headers_mut().clone_from(&self.headers);
        request
    }
}
