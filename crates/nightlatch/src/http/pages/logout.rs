//! The log-out button, `POST /auth/logout`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use nightlatch_core::service::LogoutError;
use serde::Deserialize;

use super::answer;
use super::flash::Flash;
use crate::http::app::App;
use crate::http::problem::Problem;
use crate::http::session::Asks;
use crate::http::{body, cookie, csrf, session};

/// What the button sends.
#[derive(Deserialize)]
pub(crate) struct LogoutForm {
    csrf_token: Option<String>,
}

/// Logs this device out. Told as done only when it is durable; the cookie stays until then.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Asks(actor): Asks,
    body::Form(form): body::Form<LogoutForm>,
) -> Result<Response, Problem> {
    // Without a session there is nothing that a foreign page could end.
    let token = session::cookie_token(&app, &headers);
    let Some(token) = token.and_then(|token| app.service.token_hash(token)) else {
        return Ok(gone(&app, Flash::LoggedOut));
    };
    let presented = form.csrf_token.as_deref().unwrap_or_default();
    csrf::check_session_csrf(&app, &headers, Some(presented), token)?;
    match app.service.logout(token, actor, app.deadline()).await {
        Ok(()) | Err(LogoutError::NoSession) => Ok(gone(&app, Flash::LoggedOut)),
        Err(error @ (LogoutError::Pending(_) | LogoutError::Record(_))) => Err(error.into()),
    }
}

/// Back in front of the door, without a session.
pub(crate) fn gone(app: &App, flash: Flash) -> Response {
    let mut response = answer::go(app, "/auth/login", Some(flash));
    cookie::append(response.headers_mut(), app.settings.cookies.clear_session());
    response
}
