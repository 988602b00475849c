//! GET /api/v1/session

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::shape::SessionAnswer;
use crate::http::app::App;
use crate::http::json::json;
use crate::http::session::Authenticated;

/// Says whose session this is. 401 is said only when we know; not knowing is 503.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, body = SessionAnswer),
    )
)]
pub(crate) async fn session(
    State(app): State<Arc<App>>,
    Authenticated(active): Authenticated,
) -> Response {
    let csrf_token = active.csrf_token(&app.service.keys().csrf);
    json(&SessionAnswer::of_active(&active, csrf_token))
}
