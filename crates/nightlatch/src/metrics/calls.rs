//! Calls of what is beneath: how long its answers take, and how it fails.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightlatch_core::{Counters, FailureClass, StoreError};
use nightlatch_store::intercepted::Interceptor;
use nightlatch_store::redis::CallObserver;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::encode::{DEPENDENCY, counters, histograms};
use super::histogram::Histogram;

/// The calls of all that is beneath.
#[derive(Debug, Default)]
pub(super) struct AllCalls(Mutex<Vec<Arc<Calls>>>);

/// The calls of one dependency. Counted without a lock: a session check may be among them.
#[derive(Debug)]
pub struct Calls {
    dependency: &'static str,
    spans: Histogram,
    errors: Counters<{ FailureClass::ALL.len() }>,
}

impl AllCalls {
    /// Of the dependency of this name.
    pub(super) fn of(&self, dependency: &'static str) -> Arc<Calls> {
        let calls =
            Arc::new(Calls { dependency, spans: Histogram::default(), errors: Counters::new() });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&calls));
        calls
    }

    /// Of each dependency those that were answered, and how long they took in all.
    pub(super) fn times(&self) -> Vec<(&'static str, u64, Duration)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = all.iter().map(|calls| {
            let observed = calls.spans.read();
            (calls.dependency, observed.count, observed.sum)
        });
        times.collect()
    }
}

impl Calls {
    fn count(&self, class: FailureClass) {
        self.errors.count(class as usize);
    }

    /// Those that there were, by class.
    fn errors(&self) -> impl Iterator<Item = (FailureClass, u64)> {
        FailureClass::ALL.into_iter().zip(self.errors.read()).filter(|(_, count)| *count > 0)
    }
}

/// The auth service.
impl Calls {
    /// A call has taken so long, and was answered or has failed.
    pub(crate) fn asked(&self, took: Duration, outcome: Result<(), FailureClass>) {
        match outcome {
            Ok(()) => self.spans.observe(took),
            Err(class) => self.count(class),
        }
    }
}

/// Redis.
impl CallObserver for Calls {
    fn answered(&self, took: Duration) {
        self.spans.observe(took);
    }

    fn failed(&self, class: FailureClass) {
        self.count(class);
    }
}

/// The database.
impl Interceptor for Calls {
    fn answered(&self, took: Duration, outcome: Result<(), &StoreError>) {
        match outcome {
            Ok(()) => self.spans.observe(took),
            Err(error) => self.count(error.class()),
        }
    }
}

impl Collector for AllCalls {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        histograms(
            &mut encoder,
            "dependency_call_duration",
            "How long answers take of what is beneath",
            all.iter().map(|calls| ([(DEPENDENCY, calls.dependency)], calls.spans.read())),
        )?;
        let errors = all.iter().flat_map(|calls| {
            calls.errors().map(|(class, count)| {
                ([(DEPENDENCY, calls.dependency), ("class", class.as_str())], count)
            })
        });
        counters(
            &mut encoder,
            "dependency_errors",
            "Calls that were not done, or not in time, or not even begun",
            errors,
        )
    }
}
