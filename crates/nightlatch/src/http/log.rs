//! One log line a request, but for those that are too many to be read: they are counted.

use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};

use crate::http::api::check;
use crate::http::app::App;
use crate::http::problem::Problem;
use crate::http::request_id::RequestId;
use crate::http::traffic::Endpoint;

/// The line of a request that is under way. Of the path only the route is told: what people type
/// behind it may be anything.
pub(crate) struct Line {
    started: Duration,
    method: Method,
    route: Option<MatchedPath>,
}

impl Line {
    pub(crate) fn begin(app: &App, request: &Request) -> Self {
        Self {
            started: app.service.clock().boottime(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
        }
    }

    /// Logs what was asked and what was answered.
    pub(crate) fn end(self, app: &App, id: &RequestId, (status, problem): Answered<'_>) {
        let route = self.route.as_ref().map_or("-", MatchedPath::as_str);
        app.traffic.count_answer(Endpoint::of(route), status);
        let status = status.as_u16();
        if is_counted_only(route, status) {
            return;
        }
        // Which of what is beneath has failed, where an answer in production says nothing of it.
        let cause = problem.and_then(Problem::cause).filter(|cause| cause.tried.is_some());
        let took = app.service.clock().boottime().saturating_sub(self.started);
        tracing::info!(
            event = "http.request",
            http.method = self.method.as_str(),
            http.route = route,
            http.status = status,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            request_id = id.as_str(),
            code = cause.and(problem).map(|problem| problem.code().as_str()),
            dependency = cause.map(|cause| cause.dependency),
            class = cause.map(|cause| cause.class),
            attempts = cause.and_then(|cause| cause.tried).map(|tried| tried.attempts),
            error = cause.map(|cause| cause.original.as_str()),
        );
    }
}

/// What a request was answered with.
type Answered<'a> = (StatusCode, Option<&'a Problem>);

/// Where other services ask for every request of theirs.
const CHECKS: [&str; 5] = [
    "/api/v1/session",
    "/api/v1/auth/verify",
    "/api/token/verify",
    check::PATH,
    check::PATH_WITH_MORE,
];

fn is_counted_only(route: &str, status: u16) -> bool {
    route.starts_with("/health")
        || route == "/metrics"
        || route.starts_with("/static")
        // 503 too: an outage is told once, not by each check that suffers from it.
        || (CHECKS.contains(&route) && matches!(status, 200 | 302 | 401 | 403 | 503))
}
