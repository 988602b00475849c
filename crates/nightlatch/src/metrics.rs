//! What is counted and measured, in the text format that Prometheus reads:
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>.
//!
//! The registry is a value: two servers in one process count apart. What happens too often to be
//! looked up is counted where it happens, and read when somebody asks.

mod calls;
mod encode;
mod histogram;
mod process;
mod spans;
mod state;
mod watched;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use crate::health::Health;
use crate::status::Count;
use crate::traces::Traces;

use calls::AllCalls;
pub use calls::Calls;
pub(crate) use histogram::Histogram;
use process::Process;
use spans::Spans;
use state::{State, describe_build};
pub use watched::Watched;

/// What all names of ours begin with.
const PREFIX: &str = "nightlatch";

/// All that is counted and measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    process: Registry,
    calls: Arc<AllCalls>,
    state: Arc<State>,
}

impl Metrics {
    /// Nothing was counted yet. Calls of traced requests are told as spans.
    #[must_use]
    pub fn new(traces: Option<Arc<Traces>>) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        describe_build(&mut registry);
        registry.register_collector(Box::new(Spans(traces.clone())));
        let calls = Arc::new(AllCalls::new(traces));
        registry.register_collector(Box::new(Arc::clone(&calls)));
        let state = Arc::<State>::default();
        registry.register_collector(Box::new(Arc::clone(&state)));
        let mut process = Registry::default();
        process.register_collector(Box::new(Process));
        Self { registry, process, calls, state }
    }

    /// Measures the calls of the dependency of this name.
    #[must_use]
    pub fn calls(&self, dependency: &'static str) -> Arc<Calls> {
        self.calls.of(dependency)
    }

    /// From now on the node's health is told.
    pub fn watch_health(&self, health: Arc<Health>) {
        self.state.watch_health(health);
    }

    /// From now on this is told, too.
    pub fn watch(&self, watched: Watched) {
        self.state.watch(watched);
    }

    /// Session checks by where the answer came from, and logins by whose doing it was that they came to what
    /// they came to, until now.
    pub(crate) fn counts(&self) -> (Vec<Count>, Vec<Count>) {
        self.state.watched().map(Watched::counts).unwrap_or_default()
    }

    /// Calls of each dependency that were answered, and how long they took in all.
    pub(crate) fn call_times(&self) -> Vec<(&'static str, u64, Duration)> {
        self.calls.times()
    }

    /// Servers that share the record, as far as it is known.
    pub(crate) fn live_nodes(&self) -> Option<u32> {
        self.state.watched().map(|watched| watched.service.live_nodes())
    }

    /// The text.
    ///
    /// # Errors
    /// Something could not be written, which is a mistake in this program.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(32 * 1024);
        text::encode_registry(&mut text, &self.registry)?;
        text::encode_registry(&mut text, &self.process)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(None)
    }
}
