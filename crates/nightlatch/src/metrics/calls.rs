//! Calls of what is beneath: how long its answers take, and how it fails.
//!
//! Each is measured once: what is counted here is what a traced request tells as a span.

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
use crate::traces::{Call, Traces};

/// The calls of all that is beneath.
#[derive(Debug)]
pub(super) struct AllCalls {
    calls: Mutex<Vec<Arc<Calls>>>,
    traces: Option<Arc<Traces>>,
}

/// The calls of one dependency. Counted without a lock: a session check may be among them.
#[derive(Debug)]
pub struct Calls {
    dependency: &'static str,
    spans: Histogram,
    errors: Counters<{ FailureClass::ALL.len() }>,
    traces: Option<Arc<Traces>>,
}

impl AllCalls {
    pub(super) const fn new(traces: Option<Arc<Traces>>) -> Self {
        Self { calls: Mutex::new(Vec::new()), traces }
    }

    /// Of the dependency of this name.
    pub(super) fn of(&self, dependency: &'static str) -> Arc<Calls> {
        let (spans, errors) = (Histogram::default(), Counters::new());
        let calls = Arc::new(Calls { dependency, spans, errors, traces: self.traces.clone() });
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&calls));
        calls
    }

    /// Of each dependency those that were answered, and how long they took in all.
    pub(super) fn times(&self) -> Vec<(&'static str, u64, Duration)> {
        let all = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let times = all.iter().map(|calls| {
            let observed = calls.spans.read();
            (calls.dependency, observed.count, observed.sum)
        });
        times.collect()
    }
}

impl Calls {
    fn count(&self, took: Duration, outcome: Result<(), FailureClass>) {
        match outcome {
            Ok(()) => self.spans.observe(took),
            Err(class) => self.errors.count(class as usize),
        }
    }

    fn trace(
        &self,
        operation: Option<&'static str>,
        took: Duration,
        outcome: Result<(), FailureClass>,
    ) {
        if let Some(traces) = &self.traces {
            traces.called((self.dependency, operation), took, outcome);
        }
    }

    /// Those that there were, by class.
    fn errors(&self) -> impl Iterator<Item = (FailureClass, u64)> {
        FailureClass::ALL.into_iter().zip(self.errors.read()).filter(|(_, count)| *count > 0)
    }
}

/// The auth service.
impl Calls {
    /// A login begins to ask it. `None`: nobody is told whose question it is.
    pub(crate) fn asking(&self) -> Option<Call> {
        self.traces.as_ref()?.calling(self.dependency)
    }

    /// A call has taken so long, and was answered or has failed.
    pub(crate) fn asked(&self, took: Duration, outcome: Result<(), FailureClass>) {
        self.count(took, outcome);
    }
}

/// Redis.
impl CallObserver for Calls {
    fn answered(&self, took: Duration) {
        self.count(took, Ok(()));
        self.trace(None, took, Ok(()));
    }

    fn failed(&self, class: FailureClass, took: Duration) {
        self.count(took, Err(class));
        self.trace(None, took, Err(class));
    }
}

/// The database.
impl Interceptor for Calls {
    fn answered(&self, call: &'static str, took: Duration, outcome: Result<(), &StoreError>) {
        let outcome = outcome.map_err(StoreError::class);
        self.count(took, outcome);
        self.trace(Some(call), took, outcome);
    }
}

impl Collector for AllCalls {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
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
