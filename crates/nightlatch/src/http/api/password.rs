//! POST /api/v1/auth/password

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use nightlatch_core::service::ChangePasswordRequest;
use serde::Deserialize;
use utoipa::ToSchema;

use super::shape::SessionAnswer;
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
    #[schema(value_type = String, required = true, format = Password, example = "correct horse battery staple")]
    current_password: Option<String>,
    /// 8 characters to 1024 bytes, not easily guessed.
    #[schema(value_type = String, required = true, format = Password, min_length = 8, max_length = 1024, example = "wrong zebra battery staple")]
    new_password: Option<String>,
}

/// Changes the password. Every session of the user ends; this answer brings a new one.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password",
    tag = "auth",
    security(("cookie" = []), ("bearer" = [])),
    request_body = PasswordBody,
    responses(
        (status = 200, body = SessionAnswer),
        (status = 403, description = "wrong_password"),
        (status = 422, description = "weak_password"),
        (status = 409, description = "managed_elsewhere"),
        (status = 429, description = "throttled"),
        (status = 503, description = "login_busy"),
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
