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

/// Logs in. A failed login is answered at a moment that tells nothing about the account: no thread
/// and no lock is held meanwhile.
pub(crate) async fn login(app: &Arc<App>, request: LoginRequest) -> Result<LoggedIn, LoginError> {
    let arrived = app.service.clock().boottime();
    let result = app.service.login(request, app.login_deadline()).await;
    if let Err(LoginError::InvalidCredentials) = &result {
        tokio::time::sleep(app.service.failed_login_delay(arrived)).await;
    }
    result
}

/// Logs in for tokens, with the same wait after a wrong password.
pub(crate) async fn issue_tokens(
    app: &Arc<App>,
    request: TokenRequest,
) -> Result<TokenPair, LoginError> {
    let arrived = app.service.clock().boottime();
    let result = app.service.issue_tokens(request, app.login_deadline()).await;
    if let Err(LoginError::InvalidCredentials) = &result {
        tokio::time::sleep(app.service.failed_login_delay(arrived)).await;
    }
    let issued = result?;
    if let Some(upgrade) = issued.upgrade {
        replace_hash(app, upgrade);
    }
    Ok(issued.pair)
}

/// Changes the password, with the same wait after a wrong one.
pub(crate) async fn change_password(
    app: &Arc<App>,
    request: ChangePasswordRequest,
) -> Result<LoggedIn, ChangePasswordError> {
    let arrived = app.service.clock().boottime();
    let result = app.service.change_password(request, app.login_deadline()).await;
    if let Err(ChangePasswordError::Login(LoginError::InvalidCredentials)) = &result {
        tokio::time::sleep(app.service.failed_login_delay(arrived)).await;
    }
    result
}

/// Sets the cookies of a new session and lets a weak hash be replaced behind the answer.
pub(crate) fn welcome(app: &Arc<App>, logged_in: &mut LoggedIn, headers: &mut HeaderMap) {
    let cookies = &app.settings.cookies;
    let policy = app.service.policy();
    let age: Duration =
        if logged_in.session.remember { policy.remember_age } else { policy.session_age };
    cookie::append(headers, cookies.set_session(logged_in.token.expose(), age));
    cookie::append(headers, cookies.set_device(&logged_in.device_cookie));
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
