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
pub(crate) mod forwarded;
pub(crate) mod health;
pub(crate) mod json;
pub(crate) mod limit;
pub(crate) mod log;
pub(crate) mod login_flow;
pub mod metrics;
pub(crate) mod openapi;
pub(crate) mod pages;
pub(crate) mod panic;
pub mod problem;
pub(crate) mod redirect;
pub(crate) mod request_id;
pub(crate) mod security_headers;
pub mod server;
pub(crate) mod session;
pub mod sockets;
pub(crate) mod status;
pub(crate) mod trace;
pub mod traffic;
pub mod waiting;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{Route, get};
use tower::layer::layer_fn;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::cors::CorsLayer;
use tower_http::normalize_path::NormalizePath;

use crate::config::Environment;
use crate::http::app::{App, Settings};
use crate::http::limit::Limits;
use crate::http::problem::{Code, Problem};
use crate::http::security_headers::SecurityHeaders;
use crate::http::trace::Trace;

/// Everything that a connection is served with.
pub type Routes = NormalizePath<Router>;

/// Routes behind their layers. Paths work with and without a trailing slash, without a redirect, so
/// that a POST is not lost.
#[must_use]
pub fn routes(app: &Arc<App>) -> Routes {
    behind(Layers::of(app), table(app).with_state(Arc::clone(app)))
}

fn behind(layers: Layers, router: Router) -> Routes {
    normalized(layered(layers, router))
}

fn layered(layers: Layers, router: Router) -> Router {
    let layers = Arc::new(layers);
    router.layer(layer_fn(move |route: Route| {
        let (layers, route) = (Arc::clone(&layers), Arc::new(route));
        service_fn(move |request| Arc::clone(&layers).answer(request, Route::clone(&route)))
    }))
}

fn normalized(router: Router) -> Routes {
    NormalizePath::trim_trailing_slash(router)
}

/// What every request goes through on its way to a handler, and every answer on its way out.
///
/// Functions in a row instead of a stack of services: a service is cloned and its future boxed for
/// every request and layer, which together took longer than the session check itself.
struct Layers {
    /// Who counts and logs requests; `None` before anything can be served: an outage is told once,
    /// not by each request that suffers from it.
    app: Option<Arc<App>>,
    environment: Environment,
    limits: Limits,
    cors: Option<CorsLayer>,
    security_headers: SecurityHeaders,
}

impl Layers {
    fn of(app: &Arc<App>) -> Self {
        Self { app: Some(Arc::clone(app)), ..Self::new(&app.settings) }
    }

    fn new(settings: &Settings) -> Self {
        Self {
            app: None,
            environment: settings.environment,
            limits: Limits::new(settings),
            cors: cors::layer(settings),
            security_headers: SecurityHeaders::new(settings),
        }
    }

    /// All layers but the innermost, from the outside to the inside and back.
    async fn answer(
        self: Arc<Self>,
        mut request: Request,
        route: Route,
    ) -> Result<Response, Infallible> {
        let id = request_id::of(&request);
        if !request.method().is_safe() {
            // For those who ask others on behalf of it, or have it written down. Checks of sessions do not.
            request.extensions_mut().insert(id.clone());
        }
        let line = self.app.as_ref().map(|app| (app, log::Line::begin(app, &request)));
        let trace = self.app.as_ref().and_then(|app| Trace::begin(app, &request, &id));
        let is_page = pages::is_page(request.uri().path());
        let is_for_a_person = pages::is_for_a_person(&request);

        let passing = pin!(self.pass(request, route));
        let mut response = match &trace {
            None => passing.await?,
            Some(trace) => trace.around(passing).await?,
        };

        let is_page = is_page || is_for_a_person && response.status() == StatusCode::NOT_FOUND;
        // Everything beneath answers with problems, which get their bodies here.
        let problem = problem::render(self.environment, &id, is_page, &mut response);
        self.security_headers.add(is_page, response.headers_mut());
        if let Some(trace) = trace {
            trace.end(response.status(), problem.as_deref());
        }
        if let Some((app, line)) = line {
            line.end(app, &id, (response.status(), problem.as_deref()));
        }
        response.headers_mut().insert(request_id::X_REQUEST_ID, id.into_value());
        Ok(response)
    }

    /// What may be refused to other origins.
    async fn pass(&self, request: Request, route: Route) -> Result<Response, Infallible> {
        match self.cors_of(request.uri().path()) {
            None => self.enter(request, route).await,
            Some(cors) => {
                let inner = service_fn(|request| self.enter(request, route.clone()));
                cors.layer(inner).oneshot(request).await
            }
        }
    }

    /// The question of a proxy is no browser's call, and CORS answers every OPTIONS with 200: to a proxy
    /// that asks with its client's method, that would mean to let it through.
    fn cors_of(&self, path: &str) -> Option<&CorsLayer> {
        self.cors.as_ref().filter(|_| !api::check::is_check(path))
    }

    /// The innermost layer: a request that is within its limits reaches its handler.
    async fn enter(&self, request: Request, route: Route) -> Result<Response, Infallible> {
        let _permit = match self.limits.admit(request.headers()) {
            Ok(permit) => permit,
            Err(problem) => return Ok(problem.into_response()),
        };
        // Pinned here and only lent: futures that are handed on grow with each hand.
        let handler = pin!(route.oneshot(request));
        let answer = pin!(panic::caught(handler));
        Ok(self.limits.within_total(answer).await)
    }
}

/// The table of routes.
fn table(app: &Arc<App>) -> Router<Arc<App>> {
    let (api, _) = openapi::api().split_for_parts();
    let metrics = if app.settings.serves_metrics {
        Router::new()
            .route("/metrics", get(metrics::metrics))
            .route("/status", get(status::status))
            .merge(pages::operator_routes(app))
    } else {
        Router::new()
    };
    let reference = if app.settings.api_docs { openapi::routes() } else { Router::new() };
    api.merge(pages::routes(app))
        .merge(reference)
        .merge(metrics)
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(|| async { Problem::new(Code::NotFound) })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed) })
}
