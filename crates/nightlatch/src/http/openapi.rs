//! The JSON endpoints with their OpenAPI 3.1 document: one table gives both, so that no endpoint is
//! missing from the document.

use std::sync::{Arc, LazyLock};

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::any;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::api::{
    check, events, login, logout, password, register, session, sessions, token, token_alias,
};
use crate::http::app::App;

/// What stands around the endpoints.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nightlatch",
        description = "Login and sessions that stay up when what is beneath them does not.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "auth", description = "Register, log in, log out, change the password"),
        (name = "token", description = "Tokens for clients without cookies"),
        (name = "session", description = "Whose session this is, and one's devices"),
    ),
    servers((url = "/")),
    paths(check::check),
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

/// The document as JSON, ending in a line break.
pub(crate) fn document_text() -> String {
    let mut text = api().into_openapi().to_pretty_json().expect("the document is plain data");
    text.push('\n');
    text
}

/// GET /api/openapi.json
pub(crate) async fn document() -> impl IntoResponse {
    static TEXT: LazyLock<String> = LazyLock::new(document_text);
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str())
}
