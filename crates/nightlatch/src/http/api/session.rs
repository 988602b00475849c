//! GET /api/v1/session

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::shape::{ProblemShape, SessionAnswer};
use crate::http::app::App;
use crate::http::json::json;
use crate::http::session::Authenticated;

/// Says whose session this is. 401 is said only when we know; not knowing is 503.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "session",
    responses(
        (status = 200, body = SessionAnswer),
        (status = 401, description = "no_session", body = ProblemShape, content_type = "application/problem+json"),
        (status = 503, description = "store_unavailable, deadline, overloaded", body = ProblemShape, content_type = "application/problem+json"),
        (status = "default", description = "any other problem", body = ProblemShape, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn session(
    State(app): State<Arc<App>>,
    Authenticated(active): Authenticated,
) -> Response {
    let csrf_token = active.csrf_token(&app.service.keys().csrf);
    json(&SessionAnswer::of_active(&active, csrf_token))
}
