//! The operators' login and logout, `/operator/login` and `/operator/logout`.
//!
//! The address of the metrics speaks plain HTTP, and no password is asked for where others could read it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use nightlatch_core::service::LogoutError;
use serde::Deserialize;

use super::OPERATOR;
use super::session::{self, From, Operator};
use super::view::LoginView;
use crate::http::app::App;
use crate::http::client::{self, Peer};
use crate::http::pages::answer;
use crate::http::pages::door::{Door, Next};
use crate::http::pages::flash::Flash;
use crate::http::pages::form::Form;
use crate::http::pages::login::{self, LoginForm};
use crate::http::problem::Problem;
use crate::http::session::Arrival;
use crate::http::{body, cookie, forwarded, login_flow, redirect};

/// What the log-out button sends.
#[derive(Deserialize)]
pub(crate) struct LogoutForm {
    csrf_token: Option<String>,
}

/// Shows the form; leads on whoever is logged in already.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    From(peer): From,
    next: Next,
) -> Response {
    let next = next.checked(&app);
    if matches!(session::find(&app, &headers).await, Ok(Some(_))) {
        return answer::go(&app, redirect::target(&app.settings, next.as_deref()), None);
    }
    if !is_private(&app, peer, &headers) {
        return answer::page(&app, &headers, &LoginView::nobody_may_type());
    }
    let (view, cookies) = view(&app, &headers, next);
    answer::with_cookies(answer::page(&app, &headers, &view), &cookies)
}

/// Logs in.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    arrival: Arrival,
    body::Form(form): body::Form<LoginForm>,
) -> Response {
    let typed = form.username.clone().unwrap_or_default();
    let next = Next { next: form.next.clone() }.checked(&app);
    let result = match login::request(&app, &headers, arrival, form) {
        Ok(request) => login_flow::login_operator(&app, request).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    match result {
        Ok(logged_in) => {
            let mut cookies = HeaderMap::new();
            login_flow::welcome_operator(&app, logged_in, &mut cookies);
            let target = redirect::target(&app.settings, next.as_deref());
            answer::with_cookies(answer::go(&app, target, Some(Flash::LoggedIn)), &cookies)
        }
        Err(problem) => {
            let (mut view, cookies) = view(&app, &headers, next);
            view.form = view.form.map(|form| form.typed("username", &typed).refused(&problem));
            answer::with_cookies(answer::refused(problem, &view), &cookies)
        }
    }
}

/// Logs out.
pub(crate) async fn leave(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    operator: Operator,
    body::Form(form): body::Form<LogoutForm>,
) -> Result<Response, Problem> {
    operator.check_form(&app, &headers, form.csrf_token.as_deref())?;
    match app.service.logout(operator.active.token, operator.actor, app.deadline()).await {
        Ok(()) | Err(LogoutError::NoSession) => {}
        Err(error @ (LogoutError::Pending(_) | LogoutError::Record(_))) => return Err(error.into()),
    }
    let mut response = answer::go(&app, "/operator/login", Some(Flash::LoggedOut));
    cookie::append(response.headers_mut(), app.settings.cookies.clear_session());
    Ok(response)
}

fn view(app: &App, headers: &HeaderMap, next: Option<String>) -> (LoginView, HeaderMap) {
    let door = Door::new(app, headers);
    let form = Form::login(door.csrf_token, next.or_else(|| Some(OPERATOR.to_owned())));
    (LoginView { frame: door.frame, form: Some(form) }, door.cookies)
}

/// Whether nobody on the way can read what is typed: the browser is on this machine, or at the other end
/// of a tunnel to it, or a proxy that we trust says that it came over HTTPS.
fn is_private(app: &App, peer: Option<Peer>, headers: &HeaderMap) -> bool {
    if !app.settings.cookies.are_secure() {
        return true;
    }
    let Some(Peer(peer)) = peer else { return false };
    let is_proxy = client::is_trusted(peer.ip(), &app.settings.trusted_proxies);
    match forwarded::scheme(headers) {
        Ok(Some(scheme)) => is_proxy && scheme == "https",
        Ok(None) => peer.ip().to_canonical().is_loopback(),
        Err(forwarded::Doubtful) => false,
    }
}
