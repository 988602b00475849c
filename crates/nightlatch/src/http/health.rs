//! GET /health, /health/live, /health/ready: answered from the last known state, never by asking.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::config::Environment;
use crate::health::{Failing, Health, OptionalStatus, Status};
use crate::http::app::App;

#[derive(Serialize)]
struct HealthAnswer {
    status: &'static str,
    /// `connected` or `error: CLASS`.
    database: String,
    database_class: &'static str,
    /// `connected`, `disabled` or `error: CLASS`.
    cache: String,
    cache_class: &'static str,
    /// `connected`, `unknown` before anything is known, `disabled` or `error: CLASS`.
    auth_service: String,
    auth_service_class: &'static str,
    /// Since when the status is what it is. RFC 3339, UTC.
    since: String,
    clock_skew_ms: u64,
    /// For how long the database has not confirmed which sessions have ended; 0 when it does.
    staleness_ms: u64,
    /// How often the database was found to have gone back in time since the start.
    history_forks: u64,
    warnings: Vec<&'static str>,
    /// What the doctor calls that which fails, and what to try: for who sets it up, so not in production.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<FailingAnswer>>,
}

#[derive(Serialize)]
struct FailingAnswer {
    /// A page of `docs/findings.md`.
    id: &'static str,
    dependency: &'static str,
    class: &'static str,
    fix: Option<&'static str>,
}

impl From<Failing> for FailingAnswer {
    fn from(failing: Failing) -> Self {
        let Failing { dependency, class, remedy } = failing;
        Self { id: remedy.finding, dependency, class: class.as_str(), fix: remedy.fix }
    }
}

/// GET /health
pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    answer(&app.health, app.settings.environment)
}

/// GET /health/live
pub(crate) async fn live() -> Response {
    live_answer()
}

/// GET /health/ready
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    ready_answer(&app.health)
}

/// All that is known.
pub(crate) fn answer(health: &Health, environment: Environment) -> Response {
    let snapshot = health.snapshot();
    let status = match snapshot.status {
        Status::Healthy | Status::Degraded => StatusCode::OK,
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let database = match snapshot.database_class {
        None => "connected".to_owned(),
        Some(class) => format!("error: {class}"),
    };
    let (cache, cache_class) = in_words(snapshot.cache);
    let (auth_service, auth_service_class) = in_words(snapshot.auth_service);
    let answer = HealthAnswer {
        status: snapshot.status.as_str(),
        database,
        database_class: snapshot.database_class.unwrap_or("none"),
        cache,
        cache_class,
        auth_service,
        auth_service_class,
        since: snapshot.since.to_rfc3339(),
        clock_skew_ms: whole_millis(snapshot.clock_skew),
        staleness_ms: whole_millis(snapshot.staleness),
        history_forks: snapshot.forks,
        warnings: snapshot.warnings,
        findings: (!environment.is_production())
            .then(|| snapshot.failing.into_iter().map(FailingAnswer::from).collect()),
    };
    (status, axum::Json(answer)).into_response()
}

/// What is the matter in words, and its class.
fn in_words(status: OptionalStatus) -> (String, &'static str) {
    match status {
        OptionalStatus::Disabled => ("disabled".to_owned(), "none"),
        OptionalStatus::Unknown => ("unknown".to_owned(), "none"),
        OptionalStatus::Connected => ("connected".to_owned(), "none"),
        OptionalStatus::Failed(class) => (format!("error: {class}"), class),
    }
}

fn whole_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The process runs.
pub(crate) fn live_answer() -> Response {
    axum::Json(serde_json::json!({ "status": "live" })).into_response()
}

/// Session checks can be served, and the server is not stopping.
pub(crate) fn ready_answer(health: &Health) -> Response {
    let (status, word) = if health.is_ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    (status, axum::Json(serde_json::json!({ "status": word }))).into_response()
}
