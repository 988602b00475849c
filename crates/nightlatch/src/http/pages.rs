//! Pages for people: server-rendered, whole without JavaScript.

use std::sync::Arc;

use axum::Router;
use axum::response::Response;

use crate::http::app::App;
use crate::http::problem::Problem;
use crate::http::request_id::RequestId;

/// Whether a path is one that people look at: its problems are pages too.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/auth/")
}

/// The table of pages.
pub(crate) fn routes(_: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
}

/// Shows a problem to a person.
pub(crate) fn problem_page(_: &App, problem: &Problem, id: &RequestId, response: &mut Response) {
    *response.body_mut() = format!("{} ({})", problem.detail(), id.as_str()).into();
}
