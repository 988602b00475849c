//! What a login by JSON and one by form share: the wait of a failed one, the cookies of a good one.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use nightlatch_core::service::{
    ChangePasswordError, ChangePasswordRequest, HashUpgrade, LoggedIn, LoginError, LoginRequest,
    TokenPair, TokenRequest,
};

use crate::http::app::App;
use crate::http::cookie;
use crate::http::error::code_of_login;
use crate::http::traffic::LoginOutcome;

/// Logs in.
pub(crate) async fn login(app: &Arc<App>, request: LoginRequest) -> Result<LoggedIn, LoginError> {
    counted(app, app.service.login(request, app.login_deadline())).await
}

/// Logs in as operator; the text is what the cookie holds.
pub(crate) async fn login_operator(
    app: &Arc<App>,
    request: LoginRequest,
) -> Result<(LoggedIn, String), LoginError> {
    counted(app, app.service.log_in_operator(request, app.login_deadline())).await
}

/// Logs in for tokens.
pub(crate) async fn issue_tokens(
    app: &Arc<App>,
    request: TokenRequest,
) -> Result<TokenPair, LoginError> {
    let issued = counted(app, app.service.issue_tokens(request, app.login_deadline())).await?;
    if let Some(upgrade) = issued.upgrade {
        replace_hash(app, upgrade);
    }
    Ok(issued.pair)
}

/// Changes the password.
pub(crate) async fn change_password(
    app: &Arc<App>,
    request: ChangePasswordRequest,
) -> Result<LoggedIn, ChangePasswordError> {
    let change = app.service.change_password(request, app.login_deadline());
    let is_wrong = |error: &ChangePasswordError| {
        matches!(error, ChangePasswordError::Login(LoginError::InvalidCredentials))
    };
    as_late_as_any(app, change, is_wrong).await
}

/// A login, counted by what became of it.
async fn counted<T>(
    app: &App,
    login: impl Future<Output = Result<T, LoginError>>,
) -> Result<T, LoginError> {
    let arrived = app.service.clock().boottime();
    let is_wrong = |error: &LoginError| matches!(error, LoginError::InvalidCredentials);
    let result = as_late_as_any(app, login, is_wrong).await;
    let outcome = match &result {
        Ok(_) => LoginOutcome::SUCCESS,
        Err(error) => LoginOutcome::failed(code_of_login(error)),
    };
    let took = app.service.clock().boottime().saturating_sub(arrived);
    app.traffic.count_login(outcome, took);
    result
}

/// A wrong password is answered at a moment that tells nothing about the account: no thread and no lock
/// is held meanwhile.
async fn as_late_as_any<T, E>(
    app: &App,
    attempt: impl Future<Output = Result<T, E>>,
    is_wrong: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let arrived = app.service.clock().boottime();
    let result = attempt.await;
    if result.as_ref().is_err_and(is_wrong) {
        tokio::time::sleep(app.service.failed_login_delay(arrived)).await;
    }
    result
}

/// Sets the cookies of a new session and lets a weak hash be replaced behind the answer.
pub(crate) fn welcome(app: &Arc<App>, logged_in: &mut LoggedIn, headers: &mut HeaderMap) {
    let session = app.settings.cookies.set_session(logged_in.token.expose(), age_of(logged_in));
    cookie::append(headers, session);
    remember_browser(app, logged_in, headers);
}

/// The same for an operator's session.
pub(crate) fn welcome_operator(
    app: &Arc<App>,
    (mut logged_in, cookie): (LoggedIn, String),
    headers: &mut HeaderMap,
) {
    let session = app.settings.cookies.set_session(&cookie, age_of(&logged_in));
    cookie::append(headers, session);
    remember_browser(app, &mut logged_in, headers);
}

fn age_of(LoggedIn { session, .. }: &LoggedIn) -> Duration {
    session.expires_at.since(session.created_at)
}

fn remember_browser(app: &Arc<App>, logged_in: &mut LoggedIn, headers: &mut HeaderMap) {
    cookie::append(headers, app.settings.cookies.set_device(&logged_in.device_cookie));
    if let Some(upgrade) = logged_in.upgrade.take() {
        replace_hash(app, upgrade);
    }
}

fn replace_hash(app: &Arc<App>, upgrade: HashUpgrade) {
    let behind = Arc::clone(app);
    app.tasks.spawn(async move {
        let deadline = behind.login_deadline();
        if let Err(error) = behind.service.upgrade_hash(upgrade, deadline).await {
            tracing::info!(event = "password.upgrade_postponed", error = %error);
        }
    });
}
