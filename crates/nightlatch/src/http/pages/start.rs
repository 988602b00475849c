//! The start page, `/`: nothing of its own, only the way on.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::answer;
use crate::http::app::App;
use crate::http::problem::Problem;
use crate::http::session;

/// Leads to the profile, or to the login whoever has no session.
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = session::find(&app, &headers).await?;
    let target = if found.is_some() { "/auth/profile" } else { "/auth/login" };
    Ok(answer::go(&app, target, answer::flash(&app, &headers)))
}
