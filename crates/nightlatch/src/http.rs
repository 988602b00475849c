//! The HTTP layer: what comes in is parsed, handed to one use case, and its answer is shown.
//!
//! No rule lives here. Read it top-down: the layers in their order, then the table of routes.

pub(crate) mod api;
pub mod app;
pub(crate) mod body;
pub(crate) mod client;
pub mod cookie;
pub(crate) mod cors;
pub(crate) mod csrf;
pub(crate) mod error;
pub(crate) mod field;
pub(crate) mod health;
pub(crate) mod limit;
pub(crate) mod log;
pub(crate) mod login_flow;
pub(crate) mod openapi;
pub(crate) mod pages;
pub mod problem;
pub(crate) mod redirect;
pub(crate) mod request_id;
pub(crate) mod security_headers;
pub mod server;
pub(crate) mod session;
pub mod traffic;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePath;

use crate::http::app::App;
use crate::http::problem::{Code, Problem};

/// Everything that a connection is served with.
pub type Routes = NormalizePath<Router>;

/// Routes behind their layers. Paths work with and without a trailing slash, without a redirect, so
/// that a POST is not lost.
pub fn routes(app: &Arc<App>) -> Routes {
    let layers = ServiceBuilder::new()
        .layer(from_fn(request_id::assign_request_id))
        .layer(from_fn_with_state(Arc::clone(app), log::log_request))
        .layer(from_fn_with_state(Arc::clone(app), security_headers::add))
        .option_layer(cors::layer(&app.settings))
        // Everything below answers with problems, which get their bodies here.
        .layer(from_fn_with_state(Arc::clone(app), problem::render_problems))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(limit::Limits::new(&app.settings), limit::enforce));
    let router = table(app).layer(layers).with_state(Arc::clone(app));
    NormalizePath::trim_trailing_slash(router)
}

/// The table of routes.
fn table(app: &Arc<App>) -> Router<Arc<App>> {
    let (api, _) = openapi::api().split_for_parts();
    api.merge(pages::routes(app))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/api/openapi.json", get(openapi::document))
        .fallback(|| async { Problem::new(Code::NotFound) })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed) })
}

/// A panic is a bug of one request, not the end of the process.
fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    use axum::response::IntoResponse;
    Problem::new(Code::InternalError).into_response()
}
