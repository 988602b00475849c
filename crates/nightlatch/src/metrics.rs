//! What is counted and measured, in the text format that Prometheus reads:
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>.
//!
//! The registry is a value: two servers in one process count apart. What happens too often to be
//! looked up is counted where it happens, and read when somebody asks.

mod calls;
mod state;

use std::fmt;
use std::sync::Arc;

use prometheus_client::registry::Registry;

use crate::health::Health;

use calls::AllCalls;
pub use calls::Calls;
pub use state::Watched;
use state::{State, describe_build};

/// What all names begin with.
const PREFIX: &str = "nightlatch";

/// All that is counted and measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: AllCalls,
    state: Arc<State>,
}

impl Metrics {
    /// Nothing was counted yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        describe_build(&mut registry);
        let calls = AllCalls::register(&mut registry);
        let state = Arc::<State>::default();
        registry.register_collector(Box::new(Arc::clone(&state)));
        Self { registry, calls, state }
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

    /// The text.
    ///
    /// # Errors
    /// Something could not be written, which is a mistake in this program.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
