//! POST /api/v1/auth/login

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use nightlatch_core::service::LoginRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shape::SessionAnswer;
use crate::http::app::App;
use crate::http::body::Json;
use crate::http::field::Fields;
use crate::http::json::json;
use crate::http::problem::Problem;
use crate::http::session::{self, Arrival};
use crate::http::{csrf, login_flow};

/// A login. Either field may hold the user name or the e-mail address.
#[derive(Deserialize, ToSchema)]
pub(crate) struct LoginBody {
    #[schema(example = "alice")]
    username: Option<String>,
    /// In place of `username`.
    email: Option<String>,
    #[schema(value_type = String, required = true, format = Password, example = "correct horse battery staple")]
    password: Option<String>,
    /// Keeps the session for `SESSION_REMEMBER_AGE` instead of `SESSION_COOKIE_AGE`.
    remember: Option<bool>,
}

/// A new session.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginAnswer<'a> {
    #[serde(flatten)]
    session: SessionAnswer<'a>,
    /// Dependencies that are away at this moment; usually empty.
    #[schema(example = json!([]))]
    degraded: Vec<&'static str>,
}

/// Logs in and sets the session cookie. A valid session that comes with it ends.
#[utoipa::path(
    post,
    path = "/api/v1/auth/login",
    tag = "auth",
    request_body = LoginBody,
    responses(
        (status = 200, body = LoginAnswer),
        (status = 401, description = "invalid_credentials"),
        (status = 403, description = "csrf_failed"),
        (status = 429, description = "throttled"),
        (status = 502, description = "upstream_tls, upstream_service_credentials, upstream_endpoint_missing, upstream_error, upstream_bad_response"),
        (status = 503, description = "login_busy, store_unavailable, upstream_unreachable, upstream_dns, upstream_unavailable, upstream_throttled"),
        (status = 504, description = "upstream_connect_timeout, upstream_read_timeout"),
    )
)]
pub(crate) async fn login(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    arrival: Arrival,
    Json(body): Json<LoginBody>,
) -> Result<(HeaderMap, Response), Problem> {
    csrf::check_origin(&app, &headers)?;
    let named = (body.username, body.email);
    let (login, password) = Fields::default().login(named, body.password)?;
    let earlier = session::cookie_token(&app, &headers).map(str::to_owned);
    let remember = body.remember.unwrap_or(false);
    let Arrival { client, device, request_id } = arrival;
    let request = LoginRequest { login, password, remember, client, device, earlier, request_id };
    let mut logged_in = login_flow::login(&app, request).await?;
    let mut cookies = HeaderMap::new();
    login_flow::welcome(&app, &mut logged_in, &mut cookies);
    let answer = LoginAnswer {
        session: SessionAnswer::of_login(&logged_in, app.idle_expiry()),
        degraded: app.health.degraded(),
    };
    Ok((cookies, json(&answer)))
}
