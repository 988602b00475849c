//! The paths by which clients of djangorestframework-simplejwt, and of an earlier system, know tokens.
//!
//! Each is a handler of its own, so that the API document names it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;

use super::token::{self, Done, RefreshBody, TokenAnswer, TokenBody, VerifyBody};
use crate::http::app::App;
use crate::http::body::Json;
use crate::http::problem::Problem;
use crate::http::request_id::HandedOnId;
use crate::http::session::{Asks, From};

/// The same as `POST /api/v1/auth/token`.
#[utoipa::path(
    post,
    path = "/api/token",
    operation_id = "simplejwt_token",
    extensions(("x-same-as" = json!("token"))),
    tag = "token",
    request_body = TokenBody,
    responses(
        (status = 200, body = TokenAnswer),
    )
)]
pub(crate) async fn token(
    app: State<Arc<App>>,
    headers: HeaderMap,
    from: From,
    id: HandedOnId,
    body: Json<TokenBody>,
) -> Result<axum::Json<TokenAnswer>, Problem> {
    token::token(app, headers, from, id, body).await
}

/// The same as `POST /api/v1/auth/refresh`.
#[utoipa::path(
    post,
    path = "/api/token/refresh",
    operation_id = "simplejwt_refresh",
    extensions(("x-same-as" = json!("refresh"))),
    tag = "token",
    request_body = RefreshBody,
    responses(
        (status = 200, body = TokenAnswer),
    )
)]
pub(crate) async fn refresh(
    app: State<Arc<App>>,
    asks: Asks,
    body: Json<RefreshBody>,
) -> Result<axum::Json<TokenAnswer>, Problem> {
    token::refresh(app, asks, body).await
}

/// The same as `POST /api/v1/auth/refresh`.
#[utoipa::path(
    post,
    path = "/api/auth/refresh",
    operation_id = "auth_refresh",
    extensions(("x-same-as" = json!("refresh"))),
    tag = "token",
    request_body = RefreshBody,
    responses(
        (status = 200, body = TokenAnswer),
    )
)]
pub(crate) async fn auth_refresh(
    app: State<Arc<App>>,
    asks: Asks,
    body: Json<RefreshBody>,
) -> Result<axum::Json<TokenAnswer>, Problem> {
    token::refresh(app, asks, body).await
}

/// The same as `POST /api/v1/auth/verify`.
#[utoipa::path(
    post,
    path = "/api/token/verify",
    operation_id = "simplejwt_verify",
    extensions(("x-same-as" = json!("verify"))),
    tag = "token",
    request_body = VerifyBody,
    responses(
        (status = 200, body = Done),
    )
)]
pub(crate) async fn verify(
    app: State<Arc<App>>,
    body: Json<VerifyBody>,
) -> Result<axum::Json<Done>, Problem> {
    token::verify(app, body).await
}

/// The same as `POST /api/v1/auth/revoke`.
#[utoipa::path(
    post,
    path = "/api/token/blacklist",
    operation_id = "simplejwt_blacklist",
    extensions(("x-same-as" = json!("revoke"))),
    tag = "token",
    request_body = RefreshBody,
    responses(
        (status = 200, body = Done),
    )
)]
pub(crate) async fn blacklist(
    app: State<Arc<App>>,
    asks: Asks,
    body: Json<RefreshBody>,
) -> Result<axum::Json<Done>, Problem> {
    token::revoke(app, asks, body).await
}
