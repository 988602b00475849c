//! Traces: whom a request asked, for how long and with what success, told to a collector of OpenTelemetry.
//!
//! Spans are made where calls are measured anyway, so a request that is not traced pays nothing for them.
//! Nobody waits for the collector: what it does not take in time is dropped, and counted.

mod call;
mod delivery;
mod outcome;
mod queue;
mod tallies;

use std::fmt;
use std::sync::Arc;

use nightlatch_core::{Entropy, SystemClock};
use opentelemetry::trace::{SpanBuilder, SpanKind, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span, SpanLimits};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Builder;

use crate::config::{Config, Environment, Sampling, TracesConfig};

pub(crate) use call::Call;
use delivery::Delivery;
pub use tallies::Tallies;

/// What a span says of what it stands for at most. Each of ours says less.
const LIMITS: SpanLimits = SpanLimits {
    max_events_per_span: 0,
    max_attributes_per_span: 16,
    max_links_per_span: 0,
    max_attributes_per_event: 0,
    max_attributes_per_link: 0,
};

/// Makes spans.
pub struct Traces {
    tracer: SdkTracer,
    tallies: Arc<Tallies>,
}

impl Traces {
    /// Makes spans from now on, and takes them to the collector until the server stops. `None`: there is
    /// no collector, and nothing is traced.
    #[must_use]
    pub fn start(
        config: &Config,
        entropy: &Arc<dyn Entropy>,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Option<Arc<Self>> {
        let collector = config.traces.as_ref()?;
        let tallies = Arc::<Tallies>::default();
        let (queue, waiting) = queue::bounded(Arc::clone(&tallies));
        let resource = resource(collector, config.environment, &**entropy);
        let by = (Arc::new(SystemClock) as _, Arc::clone(entropy));
        let delivery = Delivery::new(collector, &resource, (waiting, Arc::clone(&tallies)), by);
        tasks.spawn(delivery.run(stop.clone()));
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler(collector.sampling))
            .with_span_limits(LIMITS)
            .with_resource(resource)
            .with_span_processor(queue)
            .build();
        let scope = InstrumentationScope::builder("nightlatch")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Some(Arc::new(Self { tracer: provider.tracer_with_scope(scope), tallies }))
    }

    /// What became of spans.
    #[must_use]
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// The span of a request that begins now. It says nothing yet: most are not recorded.
    pub(crate) fn begin(&self, parent: &Context) -> Span {
        self.tracer
            .build_with_context(SpanBuilder::from_name("").with_kind(SpanKind::Server), parent)
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("tallies", &self.tallies).finish_non_exhaustive()
    }
}

fn sampler(sampling: Sampling) -> Sampler {
    let root = Sampler::TraceIdRatioBased(sampling.ratio);
    if sampling.is_parent_based { Sampler::ParentBased(Box::new(root)) } else { root }
}

/// Who we are, under the names of OpenTelemetry. Nothing of it is read from the environment but by our own
/// configuration.
fn resource(config: &TracesConfig, environment: Environment, entropy: &dyn Entropy) -> Resource {
    let mut id = [0; 16];
    entropy.fill(&mut id);
    let id = Builder::from_random_bytes(id).into_uuid();
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", config.service_name.clone()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", id.to_string()),
            KeyValue::new("deployment.environment.name", environment.to_string()),
        ])
        .build()
}
