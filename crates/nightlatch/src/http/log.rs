//! One log line a request, but for those that are too many to be read: they are counted.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::http::app::App;
use crate::http::request_id::RequestId;

/// Logs what was asked and what was answered. Of the path only the route is told: what people type
/// behind it may be anything.
pub(crate) async fn log_request(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    app.traffic.count_request();
    let started = app.service.clock().boottime();
    let id = RequestId::of(&request);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status().as_u16();
    if is_counted_only(route, status) {
        return response;
    }
    let took = app.service.clock().boottime().saturating_sub(started);
    tracing::info!(
        event = "http.request",
        http.method = method.as_str(),
        http.route = route,
        http.status = status,
        duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        request_id = id.as_str(),
    );
    response
}

fn is_counted_only(route: &str, status: u16) -> bool {
    route.starts_with("/health")
        || route.starts_with("/static")
        // 503 too: an outage is told once, not by each check that suffers from it.
        || (route == "/api/v1/session" && matches!(status, 200 | 401 | 503))
}
