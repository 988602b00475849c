//! Spans of what a request asks of others.
//!
//! Those of the database and Redis are told when the call has ended, by whoever has measured it; to the auth
//! service a span goes along, so that what it does there can be seen under it.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use nightlatch_core::{Clock as _, FailureClass, SystemClock};
use opentelemetry::propagation::{Injector, TextMapPropagator as _};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::Span;

use super::Traces;

/// A call that is under way.
pub(crate) struct Call(Span);

impl Traces {
    /// A call has just ended, after so long. Told if the request is traced that made it.
    pub(crate) fn called(
        &self,
        (peer, operation): (&'static str, Option<&'static str>),
        took: Duration,
        outcome: Result<(), FailureClass>,
    ) {
        if !Context::map_current(is_recorded) {
            return;
        }
        let ended = now();
        let mut builder = of_call(operation.unwrap_or(peer), peer);
        if let (Some(operation), Some(attributes)) = (operation, &mut builder.attributes) {
            attributes.push(KeyValue::new("db.operation.name", operation));
        }
        let began = ended.checked_sub(took).unwrap_or(ended);
        let mut span = self.tracer.build(builder.with_start_time(began));
        note(&mut span, outcome);
        span.end_with_timestamp(ended);
    }

    /// A POST over HTTP begins now. `None`: nobody is told whose it is.
    pub(crate) fn calling(&self, peer: &'static str) -> Option<Call> {
        if !Context::map_current(Context::has_active_span) {
            return None;
        }
        let mut builder = of_call("POST", peer);
        if let Some(attributes) = &mut builder.attributes {
            attributes.push(KeyValue::new("http.request.method", "POST"));
        }
        Some(Call(self.tracer.build(builder)))
    }
}

impl Call {
    /// Says in a request whose it is.
    pub(crate) fn accompany(&self, headers: &mut HeaderMap) {
        let context = Context::new().with_remote_span_context(self.0.span_context().clone());
        TraceContextPropagator::new().inject_context(&context, &mut Headers(headers));
    }

    /// It has ended.
    pub(crate) fn end(mut self, outcome: Result<(), FailureClass>) {
        note(&mut self.0, outcome);
        self.0.end_with_timestamp(now());
    }
}

fn of_call(name: &'static str, peer: &'static str) -> SpanBuilder {
    // One that draws a map of services calls what is asked by this.
    let attributes = [KeyValue::new("peer.service", peer)];
    SpanBuilder::from_name(name).with_kind(SpanKind::Client).with_attributes(attributes)
}

fn is_recorded(context: &Context) -> bool {
    context.has_active_span() && context.span().is_recording()
}

/// By its class alone: what a driver says of a failure may hold anything.
fn note(span: &mut Span, outcome: Result<(), FailureClass>) {
    if let Err(class) = outcome {
        span.set_attribute(KeyValue::new("error.type", class.as_str()));
        span.set_status(Status::error(""));
    }
}

/// Of the clock that people read: collectors know no other.
fn now() -> SystemTime {
    let micros = u64::try_from(SystemClock.wall().as_micros()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

/// The headers of a request, as OpenTelemetry writes them.
struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (key.parse::<HeaderName>(), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
