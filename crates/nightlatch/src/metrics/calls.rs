//! Calls of what is beneath: how long its answers take, and how it fails.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{FailureClass, StoreError};
use nightlatch_store::intercepted::Interceptor;
use nightlatch_store::redis::CallObserver;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// From a local answer to the longest that a request waits, in seconds.
const BUCKETS: [f64; 14] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// The calls of all that is beneath.
#[derive(Debug)]
pub(super) struct AllCalls {
    durations: Family<Of, Histogram, fn() -> Histogram>,
    errors: Family<OfClass, Counter>,
}

/// The calls of one dependency.
#[derive(Debug)]
pub struct Calls {
    dependency: &'static str,
    durations: Histogram,
    errors: Family<OfClass, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    dependency: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfClass {
    dependency: &'static str,
    class: &'static str,
}

impl AllCalls {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let durations: fn() -> Histogram = || Histogram::new(BUCKETS);
        let (durations, errors) = (Family::new_with_constructor(durations), Family::default());
        registry.register_with_unit(
            "dependency_call_duration",
            "How long answers take of what is beneath",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register(
            "dependency_errors",
            "Calls that were not done, or not in time, or not even begun",
            errors.clone(),
        );
        Self { durations, errors }
    }

    /// Of the dependency of this name.
    pub(super) fn of(&self, dependency: &'static str) -> Arc<Calls> {
        let durations = self.durations.get_or_create_owned(&Of { dependency });
        Arc::new(Calls { dependency, durations, errors: self.errors.clone() })
    }
}

impl Calls {
    fn count(&self, class: FailureClass) {
        let labels = OfClass { dependency: self.dependency, class: class.as_str() };
        self.errors.get_or_create(&labels).inc();
    }
}

/// The auth service.
impl Calls {
    /// A call has taken so long, and was answered or has failed.
    pub(crate) fn asked(&self, took: Duration, outcome: Result<(), FailureClass>) {
        match outcome {
            Ok(()) => self.durations.observe(took.as_secs_f64()),
            Err(class) => self.count(class),
        }
    }
}

/// Redis.
impl CallObserver for Calls {
    fn answered(&self, took: Duration) {
        self.durations.observe(took.as_secs_f64());
    }

    fn failed(&self, class: FailureClass) {
        self.count(class);
    }
}

/// The database.
impl Interceptor for Calls {
    fn answered(&self, took: Duration, outcome: Result<(), &StoreError>) {
        match outcome {
            Ok(()) => self.durations.observe(took.as_secs_f64()),
            Err(error) => self.count(error.class()),
        }
    }
}
