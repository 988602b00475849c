//! What is known at the moment of being asked: read from where it is kept.
//!
//! A second copy of it could be wrong, and keeping it would cost every request something.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nightlatch_store::cached::CachedRecord;
use nightlatch_store::throttle::LocalThrottle;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::app::{Accelerator, OpenRecord};
use crate::auth_service::HttpAuthService;
use crate::health::{AUTH_SERVICE, Health, OptionalStatus};
use crate::http::traffic::Traffic;

const DEPENDENCY: &str = "dependency";

/// What is looked at once the node has come so far.
pub struct Watched {
    /// Copies of sessions.
    pub copies: Arc<CachedRecord>,
    /// The record itself.
    pub record: OpenRecord,
    /// Redis, if one is configured.
    pub accelerator: Option<Accelerator>,
    /// The service that logins are delegated to, if they are.
    pub auth_service: Option<Arc<HttpAuthService>>,
    /// Counts tries.
    pub throttle: Arc<LocalThrottle>,
    /// Counts requests.
    pub traffic: Arc<Traffic>,
}

/// The state of a node, as far as it has come.
#[derive(Default)]
pub(super) struct State {
    health: OnceLock<Arc<Health>>,
    watched: OnceLock<Watched>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// Labels, and the value that they have.
type Labelled<V, const N: usize> = ([(&'static str, &'static str); N], V);

pub(super) fn describe_build(registry: &mut Registry) {
    let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "Which release this is", version);
}

impl State {
    pub(super) fn watch_health(&self, health: Arc<Health>) {
        // As below.
        let _ = self.health.set(health);
    }

    pub(super) fn watch(&self, watched: Watched) {
        // There is one node, which starts once.
        let _ = self.watched.set(watched);
    }
}

fn encode_health(health: &Health, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let snapshot = health.snapshot();
    let optional = |dependency, status| match status {
        OptionalStatus::Disabled | OptionalStatus::Unknown => None,
        OptionalStatus::Connected => Some((dependency, None)),
        OptionalStatus::Failed(class) => Some((dependency, Some(class))),
    };
    let states = [
        Some(("database", snapshot.database_class)),
        optional("redis", snapshot.cache),
        optional(AUTH_SERVICE, snapshot.auth_service),
    ];
    let states = || states.into_iter().flatten();
    let up = states()
        .map(|(dependency, class)| ([(DEPENDENCY, dependency)], i64::from(class.is_none())));
    gauges(encoder, "dependency_up", "Whether what is beneath does as it should", up)?;
    let failing = states().filter_map(|(dependency, class)| Some((dependency, class?)));
    let failing =
        failing.map(|(dependency, class)| ([(DEPENDENCY, dependency), ("class", class)], 1));
    gauges(encoder, "dependency_failing", "How it fails at this moment", failing)?;
    let ready = i64::from(health.is_ready());
    gauges(encoder, "ready", "Whether session checks can be served", [([], ready)])?;
    seconds(
        encoder,
        "revocation_staleness",
        "For how long the database has not confirmed which sessions have ended; 0 when it does",
        snapshot.staleness,
    )?;
    seconds(
        encoder,
        "clock_skew",
        "How far this machine's clock is from the database's",
        snapshot.clock_skew,
    )?;
    counters(
        encoder,
        "history_forks",
        "How often the database was found to have gone back in time",
        [([], snapshot.forks)],
    )
}

impl Watched {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let sources = self.copies.tallies();
        let sources =
            [("memory", sources.memory), ("redis", sources.shared), ("database", sources.record)];
        counters(
            encoder,
            "session_lookups",
            "Sessions that were asked for, by where the answer came from",
            sources.map(|(source, count)| ([("source", source)], count)),
        )?;
        let tries = self.throttle.tallies();
        let tries =
            [("admitted", tries.admitted), ("throttled", tries.throttled), ("busy", tries.busy)];
        counters(
            encoder,
            "throttle_tries",
            "Guessable requests, by whether throttles let them through",
            tries.map(|(outcome, count)| ([("outcome", outcome)], count)),
        )?;
        gauges(
            encoder,
            "throttle_together",
            "1 while all servers count tries together in Redis, 0 while each lets its share through",
            [([], i64::from(self.throttle.counts_together()))],
        )?;
        let (requests, checks, _) = self.traffic.totals();
        counters(encoder, "http_requests", "Requests", [([], requests)])?;
        counters(
            encoder,
            "session_checks",
            "Session checks that were answered with a session",
            [([], checks)],
        )?;
        counters(
            encoder,
            "token_refreshes",
            "Refresh tokens that were presented, by what became of them",
            self.traffic.refreshes().map(|(outcome, count)| ([("outcome", outcome)], count)),
        )?;
        gauges(
            encoder,
            "breaker_state",
            "1 while calls are told at once that it is away, 0 while they are let through",
            self.breakers()
                .map(|(dependency, is_open)| ([(DEPENDENCY, dependency)], i64::from(is_open))),
        )
    }

    fn breakers(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let redis = self.accelerator.as_ref().map(|redis| ("redis", !redis.is_connected()));
        let auth_service =
            self.auth_service.as_ref().map(|service| (AUTH_SERVICE, service.is_refusing()));
        [("database", self.record.is_refusing())].into_iter().chain(redis).chain(auth_service)
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(health) = self.health.get() {
            encode_health(health, &mut encoder)?;
        }
        match self.watched.get() {
            Some(watched) => watched.encode(&mut encoder),
            None => Ok(()),
        }
    }
}

fn gauges<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = Labelled<i64, N>>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        if labels.is_empty() {
            family.encode_gauge(&value)?;
        } else {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
    }
    Ok(())
}

fn counters<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = Labelled<u64, N>>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        if labels.is_empty() {
            family.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        } else {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
    }
    Ok(())
}

fn seconds(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    span: Duration,
) -> fmt::Result {
    let unit = Some(&Unit::Seconds);
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    family.encode_gauge(&span.as_secs_f64())
}
