//! POST /api/v1/auth/register

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use nightlatch_core::service::RegisterRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shape::UserShape;
use crate::http::app::App;
use crate::http::body::Json;
use crate::http::csrf;
use crate::http::field::Fields;
use crate::http::json::json;
use crate::http::problem::Problem;
use crate::http::session::Arrival;

/// A registration.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RegisterBody {
    /// 1 to 64 characters, no `@`, no blanks.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 64, example = "alice")]
    username: Option<String>,
    #[schema(max_length = 254, example = "alice@example.org")]
    email: Option<String>,
    /// The name to show.
    #[schema(max_length = 150, example = "Alice")]
    name: Option<String>,
    /// 8 characters to 1024 bytes, not easily guessed.
    #[schema(value_type = String, required = true, format = Password, min_length = 8, max_length = 1024, example = "correct horse battery staple")]
    password: Option<String>,
}

/// The new user.
#[derive(Serialize, ToSchema)]
pub(crate) struct RegisterAnswer<'a> {
    user: UserShape<'a>,
}

/// Registers a user. It does not log in.
#[utoipa::path(
    post,
    path = "/api/v1/auth/register",
    tag = "auth",
    request_body = RegisterBody,
    responses(
        (status = 201, body = RegisterAnswer),
        (status = 403, description = "registration_closed, csrf_failed"),
        (status = 409, description = "username_taken, email_taken"),
        (status = 422, description = "weak_password"),
        (status = 429, description = "throttled"),
        (status = 503, description = "login_busy, store_unavailable"),
    )
)]
pub(crate) async fn register(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Arrival { client, request_id, .. }: Arrival,
    Json(body): Json<RegisterBody>,
) -> Result<(StatusCode, Response), Problem> {
    csrf::check_origin(&app, &headers)?;
    let mut fields = Fields::default();
    let username = fields.new_username("username", body.username.as_deref());
    let email = fields.email("email", body.email.as_deref());
    let name = fields.display_name("name", body.name.as_deref());
    let password = fields.password("password", body.password);
    fields.check()?;
    let (Some(username), Some(password)) = (username, password) else {
        return Err(fields.into_problem());
    };
    let address = client.address;
    let request = RegisterRequest { username, email, name, password, address, request_id };
    let user = app.service.register(request, app.login_deadline()).await?;
    tracing::info!(event = "user.registered", user.id = %user.id);
    Ok((StatusCode::CREATED, json(&RegisterAnswer { user: (&user).into() })))
}
