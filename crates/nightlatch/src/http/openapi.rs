//! The JSON endpoints with their OpenAPI 3.1 document: one table gives both, so that no endpoint is
//! missing from the document.

mod complete;
mod page;
mod sample;
mod view;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::api::shape::ProblemShape;
use crate::http::api::{
    check, events, login, logout, password, register, session, sessions, token, token_alias,
};
use crate::http::app::App;

/// What stands around the endpoints.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nightlatch",
        description = "Login and sessions that stay up when what is beneath them does not.\n\n\
            A browser keeps its session in a cookie and sends the session's `csrf_token` back in `X-CSRF-Token` with whatever changes something. A program keeps a pair of tokens and sends `Authorization: Bearer`; where there is such a header, it alone decides.\n\n\
            **Not knowing is not \"no\".** 401 is said only when it is known that credentials, session or token are not good. While nobody can know, the answer is 503 with `Retry-After`, and cookies stay.\n\n\
            What is not a success is a problem (RFC 9457) as `application/problem+json`; programs branch on its `code`. Members of a request that are not known are ignored, doubled ones refused. Every answer has an `X-Request-Id`, by which the operator finds it in the log.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "auth", description = "Register, log in, log out, change the password"),
        (name = "token", description = "Tokens for clients without cookies"),
        (name = "session", description = "Whose session this is, and one's devices"),
    ),
    servers((url = "/")),
    paths(check::check),
    components(schemas(ProblemShape)),
)]
struct Document;

/// The JSON endpoints.
pub(crate) fn api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(document_of_any_method())
        .route(check::PATH, any(check::check))
        .route(check::PATH_WITH_MORE, any(check::check))
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(logout::logout))
        .routes(routes!(password::change))
        .routes(routes!(session::session))
        .routes(routes!(events::events))
        .routes(routes!(sessions::list, sessions::revoke_all))
        .routes(routes!(sessions::revoke_one))
        .routes(routes!(token::token))
        .routes(routes!(token::refresh))
        .routes(routes!(token::verify))
        .routes(routes!(token::revoke))
        .routes(routes!(token::keys))
        .routes(routes!(token_alias::token))
        .routes(routes!(token_alias::refresh))
        .routes(routes!(token_alias::auth_refresh))
        .routes(routes!(token_alias::verify))
        .routes(routes!(token_alias::blacklist))
}

/// The forward-auth endpoint takes every method; the macro describes one.
fn document_of_any_method() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    if let Some(path) = document.paths.paths.get_mut(check::PATH)
        && let Some(get) = path.get.clone()
    {
        // Ids of operations are unique.
        let with_id = |method: &str| {
            let mut operation: Operation = get.clone();
            operation.operation_id = get.operation_id.as_ref().map(|id| format!("{id}_{method}"));
            Some(operation)
        };
        path.put = with_id("put");
        path.post = with_id("post");
        path.delete = with_id("delete");
        path.options = with_id("options");
        path.head = with_id("head");
        path.patch = with_id("patch");
        path.trace = with_id("trace");
    }
    document
}

/// The whole document.
fn document() -> utoipa::openapi::OpenApi {
    let mut document = api().into_openapi();
    complete::complete(&mut document);
    document
}

/// The document as JSON, ending in a line break.
pub(crate) fn document_text() -> String {
    let mut text = document().to_pretty_json().expect("the document is plain data");
    text.push('\n');
    text
}

/// The document, and the page that shows it to people.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/openapi.json", get(json)).route("/api/docs", get(page::page))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Both change with a release only.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// GET /api/openapi.json
async fn json() -> impl IntoResponse {
    static TEXT: LazyLock<String> = LazyLock::new(document_text);
    ([(CONTENT_TYPE, JSON), (CACHE_CONTROL, CACHED)], TEXT.as_str())
}
