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
mod operator;
mod profile;
mod register;
mod sessions;
mod start;
mod trouble;
mod view;
mod visitor;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::routing::{get, post};

use crate::http::app::App;
use crate::http::forwarded;

pub(crate) use answer::problem_page;
pub(crate) use moment::Moment;
pub(crate) use operator::{OPERATOR, operator_routes, waiting_operator_routes};
pub(crate) use view::html;

/// Tells two releases of the files apart that pages load.
pub(crate) const fn asset_version() -> u32 {
    asset::VERSION
}

/// Whether a path is one that people look at: its problems are pages too.
pub(crate) fn is_page(path: &str) -> bool {
    matches!(path, "/" | "/status" | "/api/docs")
        || path.starts_with("/auth/")
        || path.strip_prefix(OPERATOR).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether somebody follows a link, or has typed an address, who had better be told in words that there
/// is nothing.
pub(crate) fn is_for_a_person(request: &Request) -> bool {
    request.method() == Method::GET
        && !request.uri().path().starts_with("/api/")
        && forwarded::accepts_pages(request.headers())
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

/// The table of files that pages load.
pub(crate) fn files<S: Clone + Send + Sync + 'static>() -> Router<S> {
    asset::routes()
}

#[cfg(test)]
mod tests;
