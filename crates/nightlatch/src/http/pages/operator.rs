//! The operators' page, `/operator`: users found, their sessions ended, they themselves disabled and enabled.
//!
//! Served beside the metrics. It has a login and cookies of its own, so that nothing by which an operator
//! goes about as a user is enough for it.

mod login;
mod search;
mod session;
mod user;
pub(super) mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get, post};

use crate::http::app::App;
use crate::http::problem::{Code, Problem};
use crate::http::waiting::not_yet;

/// Where it is.
pub(crate) const OPERATOR: &str = "/operator";

/// The table of the operators' pages.
pub(crate) fn operator_routes<S>(app: &App) -> Router<S> {
    Router::new()
        .route(OPERATOR, get(search::show))
        .route("/operator/login", get(login::show).post(login::submit))
        .route("/operator/logout", post(login::leave))
        .route("/operator/users/{id}", get(user::show).post(user::submit))
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed) })
        .with_state(Arc::new(app.for_operators()))
}

/// The same until there is something to operate on.
pub(crate) fn waiting_operator_routes() -> Router {
    Router::new()
        .route(OPERATOR, any(|| async { not_yet() }))
        .route("/operator/{*rest}", any(|| async { not_yet() }))
}
