//! GET /metrics: what was counted and measured, for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::http::app::{App, Settings};
use crate::http::problem::{Code, Problem};
use crate::http::{Layers, Routes, layered, normalized, pages, status};
use crate::metrics::Metrics;
use crate::status::Board;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// GET /metrics, beside everything else.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    answer(&app.metrics)
}

/// What is served at an address of its own; the operators' page as soon as there is an `app`.
#[must_use]
pub fn metrics_routes(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    board: &Arc<Board>,
    app: Option<&Arc<App>>,
) -> Routes {
    let (metrics, board) = (Arc::clone(metrics), Arc::clone(board));
    let known = Router::new()
        .route("/status", get(move || async move { status::answer(&board) }))
        .merge(pages::files())
        .route(
            "/metrics",
            get(|State(metrics): State<Arc<Metrics>>| async move { answer(&metrics) }),
        )
        .fallback(|| async { Problem::new(Code::NotFound) })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed) })
        .with_state(metrics);
    let known = layered(Layers::new(settings), known);
    let operated = match app {
        // Nobody reads a line for each scrape; what operators do is found again by its request.
        Some(app) => layered(Layers::of(app), pages::operator_routes(app)),
        None => layered(Layers::new(settings), pages::waiting_operator_routes()),
    };
    normalized(known.merge(operated))
}

pub(super) fn answer(metrics: &Metrics) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
