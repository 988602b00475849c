//! The answers of a server that still waits for the keys that are in its database.
//!
//! In development on PostgreSQL a server can do nothing before its database answers, not even check
//! a token. It is live, tells its health, and says to all else what every server says that cannot
//! reach its record: a problem with a request id, or a page for people.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use crate::health::Health;
use crate::http::app::Settings;
use crate::http::health::{answer, live_answer, ready_answer};
use crate::http::problem::{Code, Problem};
use crate::http::{Layers, Routes, behind};
use crate::http::{metrics, pages, status};
use crate::metrics::Metrics;
use crate::status::Board;

/// When to come back: the server tries its database twice a second.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Everything that a connection is served with until there are keys.
pub fn waiting_routes(
    settings: &Settings,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    board: Arc<Board>,
) -> Routes {
    let environment = settings.environment;
    let mut router = Router::new();
    if settings.serves_metrics {
        router = router
            .route("/metrics", get(move || async move { metrics::answer(&metrics) }))
            .route("/status", get(move || async move { status::answer(&board) }));
    }
    let router =
        router
            .route(
                "/health",
                get(move |State(health): State<Arc<Health>>| async move {
                    answer(&health, environment)
                }),
            )
            .route("/health/live", get(|| async { live_answer() }))
            .route(
                "/health/ready",
                get(|State(health): State<Arc<Health>>| async move { ready_answer(&health) }),
            )
            .merge(pages::files())
            .fallback(|| async { not_yet() })
            .with_state(health);
    behind(Layers::new(settings), router)
}

pub(crate) fn not_yet() -> Problem {
    Problem::new(Code::StoreUnavailable)
        .with_detail("The server has started and waits for its database.")
        .with_retry_after(RETRY_AFTER)
}
