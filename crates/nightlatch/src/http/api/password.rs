//! POST /api/v1/auth/password

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use nightlatch_core::service::ChangePasswordRequest;
use serde::Deserialize;
use utoipa::ToSchema;

use super::shape::{ProblemShape, SessionAnswer};
use crate::http::app::App;
use crate::http::body::Json;
use crate::http::field::Fields;
use crate::http::json::json;
use crate::http::login_flow;
use crate::http::problem::Problem;
use crate::http::session::{Arrival, AuthenticatedWrite};

/// A password change.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PasswordBody {
    #[schema(format = Password)]
    current_password: Option<String>,
    /// 8 characters to 1024 bytes, not easily guessed.
    #[schema(format = Password)]
    new_password: Option<String>,
}

/// Changes the password. Every session of the user ends; this answer brings a new one.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password",
    tag = "auth",
    request_body = PasswordBody,
    params(("X-CSRF-Token" = Option<String>, Header, description = "The csrf_token of the session; not needed with `Authorization: Bearer`")),
    responses(
        (status = 200, body = SessionAnswer),
        (status = 401, description = "no_session", body = ProblemShape, content_type = "application/problem+json"),
        (status = 403, description = "wrong_password, csrf_failed", body = ProblemShape, content_type = "application/problem+json"),
        (status = 422, description = "invalid_field, weak_password", body = ProblemShape, content_type = "application/problem+json"),
        (status = 429, description = "throttled", body = ProblemShape, content_type = "application/problem+json"),
        (status = "default", description = "any other problem", body = ProblemShape, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    AuthenticatedWrite { active, .. }: AuthenticatedWrite,
    Arrival { client, device, request_id }: Arrival,
    Json(body): Json<PasswordBody>,
) -> Result<(HeaderMap, Response), Problem> {
    let mut fields = Fields::default();
    let current = fields.password("current_password", body.current_password);
    let new = fields.password("new_password", body.new_password);
    let (Some(current), Some(new)) = (current, new) else {
        return Err(fields.into_problem());
    };
    let request = ChangePasswordRequest { active, current, new, client, device, request_id };
    let mut logged_in = login_flow::change_password(&app, request).await?;
    let mut cookies = HeaderMap::new();
    login_flow::welcome(&app, &mut logged_in, &mut cookies);
    Ok((cookies, json(&SessionAnswer::of_login(&logged_in, app.idle_expiry()))))
}
