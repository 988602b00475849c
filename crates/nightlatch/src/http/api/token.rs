//! POST /api/v1/auth/token, /refresh, /verify and /revoke, and the keys.
//!
//! A client without cookies has to keep its session by itself, so it gets what a cookie holds in two
//! parts: one to be shown often, one to be kept.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use nightlatch_core::service::{Refreshed, TokenPair, TokenRequest};
use nightlatch_core::{AccessTokens as _, Deadline};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::body::Json;
use crate::http::field::Fields;
use crate::http::problem::{Code, Problem};
use crate::http::request_id::HandedOnId;
use crate::http::session::{Asks, From};
use crate::http::traffic::RefreshOutcome;
use crate::http::{csrf, login_flow};

/// A login. Either field may hold the user name or the e-mail address.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TokenBody {
    #[schema(example = "alice")]
    username: Option<String>,
    /// In place of `username`.
    email: Option<String>,
    #[schema(value_type = String, required = true, format = Password, example = "correct horse battery staple")]
    password: Option<String>,
}

/// A pair of tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenAnswer {
    /// A JSON Web Token (RFC 9068) for `Authorization: Bearer`, good for `JWT_ACCESS_TTL`.
    #[schema(example = "eyJhbGciOiJFZERTQSIs…")]
    access: String,
    /// Opaque; to be exchanged once, within `JWT_REFRESH_TTL`.
    #[schema(example = "k1.fN2c…")]
    refresh: String,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RefreshBody {
    #[schema(value_type = String, required = true, example = "k1.fN2c…")]
    refresh: Option<String>,
}

/// An access token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct VerifyBody {
    #[schema(value_type = String, required = true, example = "eyJhbGciOiJFZERTQSIs…")]
    token: Option<String>,
}

/// Nothing more to say.
#[derive(Serialize, ToSchema)]
pub(crate) struct Done {}

/// Logs in for a pair of tokens. They belong to a session: it is in the list of devices, and ends like
/// any other.
#[utoipa::path(
    post,
    path = "/api/v1/auth/token",
    tag = "token",
    request_body = TokenBody,
    responses(
        (status = 200, body = TokenAnswer),
        (status = 401, description = "invalid_credentials"),
        (status = 403, description = "csrf_failed"),
        (status = 429, description = "throttled"),
        (status = 502, description = "upstream_tls, upstream_service_credentials, upstream_endpoint_missing, upstream_error, upstream_bad_response"),
        (status = 503, description = "login_busy, store_unavailable, upstream_unreachable, upstream_dns, upstream_unavailable, upstream_throttled"),
        (status = 504, description = "upstream_connect_timeout, upstream_read_timeout"),
    )
)]
pub(crate) async fn token(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    From(client): From,
    HandedOnId(request_id): HandedOnId,
    Json(body): Json<TokenBody>,
) -> Result<axum::Json<TokenAnswer>, Problem> {
    csrf::check_origin(&app, &headers)?;
    let named = (body.username, body.email);
    let (login, password) = Fields::default().login(named, body.password)?;
    let pair = login_flow::issue_tokens(&app, TokenRequest { login, password, client, request_id })
        .await?;
    answer(&app, &pair, app.check_deadline()).await
}

/// Exchanges a refresh token for the next pair. A client that lost the answer presents the same token
/// again within `JWT_REFRESH_GRACE` and gets the same refresh token; who presents it later ends the
/// session.
#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    tag = "token",
    request_body = RefreshBody,
    responses(
        (status = 200, body = TokenAnswer),
        (status = 401, description = "token_not_valid"),
        (status = 503, description = "store_unavailable"),
    )
)]
pub(crate) async fn refresh(
    State(app): State<Arc<App>>,
    Asks(actor): Asks,
    Json(body): Json<RefreshBody>,
) -> Result<axum::Json<TokenAnswer>, Problem> {
    let presented = required("refresh", body.refresh)?;
    let deadline = app.deadline();
    let (outcome, pair) = match app.service.refresh(&presented, actor, deadline).await? {
        Refreshed::Renewed(pair) => (RefreshOutcome::Renewed, Some(pair)),
        Refreshed::Reused(session) => {
            tracing::warn!(event = "token.reused", session.id = %session, "a refresh token was presented again: its session has ended");
            (RefreshOutcome::Reused, None)
        }
        Refreshed::NotValid => (RefreshOutcome::NotValid, None),
    };
    app.traffic.count_refresh(outcome);
    answer(&app, &pair.ok_or_else(not_valid)?, deadline).await
}

/// Says whether an access token is good at this moment. Other services that verify it by its signature
/// alone honour it until it expires; this tells what has ended since.
#[utoipa::path(
    post,
    path = "/api/v1/auth/verify",
    tag = "token",
    request_body = VerifyBody,
    responses(
        (status = 200, body = Done),
        (status = 401, description = "token_not_valid"),
        (status = 503, description = "store_unavailable, staleness_exceeded"),
    )
)]
pub(crate) async fn verify(
    State(app): State<Arc<App>>,
    Json(body): Json<VerifyBody>,
) -> Result<axum::Json<Done>, Problem> {
    let presented = required("token", body.token)?;
    if app.service.verify_access(&presented, app.check_deadline()).await? {
        return Ok(axum::Json(Done {}));
    }
    Err(not_valid())
}

/// Ends the session of a refresh token, as a logout does (RFC 7009).
#[utoipa::path(
    post,
    path = "/api/v1/auth/revoke",
    tag = "token",
    request_body = RefreshBody,
    responses(
        (status = 200, body = Done),
        (status = 401, description = "token_not_valid"),
        (status = 503, description = "logout_pending"),
    )
)]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Asks(actor): Asks,
    Json(body): Json<RefreshBody>,
) -> Result<axum::Json<Done>, Problem> {
    let presented = required("refresh", body.refresh)?;
    if app.service.revoke_refresh(&presented, actor, app.deadline()).await? {
        return Ok(axum::Json(Done {}));
    }
    Err(not_valid())
}

/// The public keys of access tokens (RFC 7517).
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "token",
    responses(
        (status = 200, description = "A JWK Set", body = serde_json::Value, content_type = "application/json", example = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] })),
        (status = 503, description = "store_unavailable"),
    )
)]
pub(crate) async fn keys(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    if app.jwt.jwks().is_none() {
        app.jwt.learn_keys(app.check_deadline()).await?;
    }
    let keys = app.jwt.jwks().ok_or_else(Problem::not_yet)?;
    let mut response = ([(CACHE_CONTROL, KEYS_CACHED)], keys.to_string()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    Ok(response)
}

/// A new key is published for longer than this before it signs.
const KEYS_CACHED: &str = "public, max-age=300";

const JSON: HeaderValue = HeaderValue::from_static("application/json");

async fn answer(
    app: &App,
    pair: &TokenPair,
    deadline: Deadline,
) -> Result<axum::Json<TokenAnswer>, Problem> {
    let access = if let Ok(access) = app.jwt.sign(&pair.access) {
        access
    } else {
        // This server has only just begun.
        app.jwt.learn_keys(deadline).await?;
        app.jwt.sign(&pair.access)?
    };
    Ok(axum::Json(TokenAnswer { access, refresh: pair.refresh.expose() }))
}

fn required(field: &'static str, typed: Option<String>) -> Result<String, Problem> {
    let mut fields = Fields::default();
    fields.required(field, typed.as_deref());
    fields.check()?;
    Ok(typed.unwrap_or_default())
}

fn not_valid() -> Problem {
    Problem::new(Code::TokenNotValid)
}
