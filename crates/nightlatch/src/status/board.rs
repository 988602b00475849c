//! Where samples are taken and kept, for whoever looks.

use std::sync::Arc;

use nightlatch_core::{RecordClock, Timestamp};

use super::{SAMPLE_EVERY, Sample, Samples};
use crate::health::Health;
use crate::metrics::Metrics;

/// How this node is and was.
pub struct Board {
    clock: Arc<RecordClock>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    samples: Samples,
    started: Timestamp,
}

impl Board {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(clock: Arc<RecordClock>, health: Arc<Health>, metrics: Arc<Metrics>) -> Self {
        let started = clock.now();
        Self { clock, health, metrics, samples: Samples::default(), started }
    }

    /// Takes samples until the caller drops it.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.samples.add(self.sample());
            tokio::time::sleep(SAMPLE_EVERY).await;
        }
    }

    /// In record time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn started(&self) -> Timestamp {
        self.started.min(self.now())
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) const fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Servers that share the record, this one included; `None`: it has not come so far.
    pub(crate) fn nodes(&self) -> Option<u32> {
        self.metrics.live_nodes()
    }

    fn sample(&self) -> Sample {
        let snapshot = self.health.snapshot();
        let (checks, logins) = self.metrics.counts();
        Sample {
            at: self.now(),
            states: snapshot.states().collect(),
            checks,
            logins,
            calls: self.metrics.call_times(),
            staleness: snapshot.staleness,
        }
    }
}
