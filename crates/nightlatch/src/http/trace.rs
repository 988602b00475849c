//! The span of a request: its route, what it was answered, and what it asked of whom beneath it.
//!
//! It says no more than the log does: never a path as typed, a name, an address, or anything of a header
//! but the request's id.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method, StatusCode};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{FutureExt as _, Span as _, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use crate::http::app::App;
use crate::http::client::{self, Peer};
use crate::http::forwarded;
use crate::http::problem::Problem;
use crate::http::request_id::RequestId;

/// The longest `tracestate` that is taken over (W3C Trace Context, 3.3.1.5).
const TRACESTATE_BYTES_MAX: usize = 512;

/// Methods that are told apart.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// A request that is under way.
pub(crate) struct Trace(Context);

impl Trace {
    /// `None`: it is not traced, and whoever is asked on behalf of it need not know.
    pub(crate) fn begin(app: &App, request: &Request, id: &RequestId) -> Option<Self> {
        let traces = app.traces.as_ref()?;
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        if route.is_some_and(is_of_operators) {
            return None;
        }
        let parent = parent(app, request);
        let mut span = traces.begin(&parent);
        if span.is_recording() {
            let method = METHODS.iter().find(|known| *known == request.method());
            let method = method.map_or("_OTHER", Method::as_str);
            let named = if method == "_OTHER" { "HTTP" } else { method };
            let name = route.map_or_else(|| named.to_owned(), |route| format!("{named} {route}"));
            span.update_name(name);
            span.set_attribute(KeyValue::new("http.request.method", method.to_owned()));
            span.set_attribute(KeyValue::new("nightlatch.request_id", id.as_str().to_owned()));
            if let Some(route) = route {
                span.set_attribute(KeyValue::new("http.route", route.to_owned()));
            }
        } else if request.method() != Method::POST {
            // Only a login asks somebody who would want to know that it is not traced.
            return None;
        }
        Some(Self(parent.with_span(span)))
    }

    /// What is done on behalf of the request.
    pub(crate) async fn around<F: Future>(&self, work: F) -> F::Output {
        work.with_context(self.0.clone()).await
    }

    /// It was answered.
    pub(crate) fn end(self, status: StatusCode, problem: Option<&Problem>) {
        let span = self.0.span();
        if !span.is_recording() {
            return;
        }
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if let Some(problem) = problem {
            span.set_attribute(KeyValue::new("error.type", problem.code().as_str()));
        }
        if status.is_server_error() {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Whether it is about the server, and not for anybody who logs in.
fn is_of_operators(route: &str) -> bool {
    ["/health", "/metrics", "/status", "/static"].iter().any(|prefix| route.starts_with(prefix))
}

/// Whose request it is a part of, if somebody says so who is trusted.
fn parent(app: &App, request: &Request) -> Context {
    let peer = request.extensions().get::<Peer>();
    let is_trusted =
        peer.is_some_and(|peer| client::is_trusted(peer.0.ip(), &app.settings.trusted_proxies));
    if !is_trusted {
        return Context::new();
    }
    let headers = Headers(request.headers());
    TraceContextPropagator::new().extract_with_context(&Context::new(), &headers)
}

/// The headers of a request, as OpenTelemetry reads them. What stands there twice is not believed.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = forwarded::one(self.0, key).ok()??;
        (key != "tracestate" || value.len() <= TRACESTATE_BYTES_MAX).then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(lines: &[(&str, &str)]) -> Option<(String, bool, String)> {
        let lines = lines.iter().map(|(name, value)| {
            (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
        });
        let headers: HeaderMap = lines.collect();
        let context =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(&headers));
        let span = context.span();
        let read = span.span_context();
        let state = read.trace_state().header();
        read.is_valid().then(|| (read.span_id().to_string(), read.is_sampled(), state))
    }

    #[test]
    fn a_parent_is_read_as_the_standard_has_it_and_nothing_else_is() {
        let expected = |is_sampled, state: &str| {
            Some(("b7ad6b7169203331".to_owned(), is_sampled, state.to_owned()))
        };
        assert_eq!(read(&[("traceparent", PARENT)]), expected(true, ""));
        let unsampled = PARENT.replace("-01", "-00");
        assert_eq!(read(&[("traceparent", &unsampled)]), expected(false, ""));
        let with = |state: &str| read(&[("traceparent", PARENT), ("tracestate", state)]);
        assert_eq!(with("a=b"), expected(true, "a=b"));
        assert_eq!(with(&format!("a={}", "b".repeat(600))), expected(true, ""));
        for lines in [
            &[][..],
            &[("traceparent", "00-0-0-01")][..],
            &[("traceparent", "hunter2")][..],
            &[("traceparent", PARENT), ("traceparent", PARENT)][..],
            &[("traceparent", PARENT), ("connection", "traceparent")][..],
        ] {
            assert_eq!(read(lines), None, "{lines:?}");
        }
    }
}
