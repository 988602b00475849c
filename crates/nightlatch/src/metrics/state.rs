//! What is known at the moment of being asked: read from where it is kept.
//!
//! A second copy of it could be wrong, and keeping it would cost every request something.

use std::fmt;
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Watched;
use super::encode::{DEPENDENCY, counters, gauges, seconds};
use crate::health::Health;

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

pub(super) fn describe_build(registry: &mut Registry) {
    let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "Which release this is", version);
}

impl State {
    pub(super) fn watch_health(&self, health: Arc<Health>) {
        // As below.
        let _ = self.health.set(health);
    }

    pub(super) fn watched(&self) -> Option<&Watched> {
        self.watched.get()
    }

    pub(super) fn watch(&self, watched: Watched) {
        // There is one node, which starts once.
        let _ = self.watched.set(watched);
    }
}

fn encode_health(health: &Health, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let snapshot = health.snapshot();
    let up = snapshot
        .states()
        .map(|(dependency, class)| ([(DEPENDENCY, dependency)], i64::from(class.is_none())));
    gauges(encoder, "dependency_up", "Whether what is beneath does as it should", up)?;
    let failing = snapshot.states().filter_map(|(dependency, class)| Some((dependency, class?)));
    let failing =
        failing.map(|(dependency, class)| ([(DEPENDENCY, dependency), ("class", class)], 1));
    gauges(encoder, "dependency_failing", "How it fails at this moment", failing)?;
    let ready = i64::from(health.is_ready());
    gauges(encoder, "ready", "Whether session checks can be served", [([], ready)])?;
    seconds(
        encoder,
        "revocation_staleness",
        "For how long the database has not confirmed which sessions have ended; 0 when it does",
        Some(snapshot.staleness),
    )?;
    seconds(
        encoder,
        "feed_lag",
        "How long ago the look at the feed began that confirmed which sessions have ended",
        snapshot.feed_lag,
    )?;
    seconds(
        encoder,
        "clock_skew",
        "How far this machine's clock is from the database's",
        Some(snapshot.clock_skew),
    )?;
    counters(
        encoder,
        "history_forks",
        "How often the database was found to have gone back in time",
        [([], snapshot.forks)],
    )
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
