//! The pages: server-rendered HTML for people, whole without JavaScript.
//!
//! What little script there is makes forms more comfortable.

mod answer;
mod asset;
mod door;
mod flash;
mod form;
mod login;
mod logout;
mod moment;
mod profile;
mod register;
mod sessions;
mod start;
mod trouble;
mod view;
mod visitor;

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};

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
        .route("/", get(start::start))
        .route("/auth/login", get(login::show).post(login::submit))
        .route("/auth/register", get(register::show).post(register::submit))
        .route("/auth/profile", get(profile::show).post(profile::submit))
        .route("/auth/sessions", get(sessions::show).post(sessions::submit))
        .route("/auth/logout", post(logout::submit))
        .merge(asset::routes())
}

/// Shows a problem to a person.
pub(crate) fn problem_page(_: &App, problem: &Problem, id: &RequestId, response: &mut Response) {
    answer::problem_page(problem, id, response);
}

#[cfg(test)]
mod tests;
