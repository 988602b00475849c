//! The login page, `/auth/login`.
//!
//! A refused login shows the form again, so that only the password has to be typed a second time.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use nightlatch_core::service::{LoggedIn, LoginRequest};
use serde::Deserialize;

use super::answer;
use super::door::{Door, Next};
use super::flash::Flash;
use super::form::Form;
use super::view::LoginView;
use crate::http::app::App;
use crate::http::field::Fields;
use crate::http::problem::Problem;
use crate::http::session::{self, Arrival};
use crate::http::{body, csrf, login_flow, redirect};

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct LoginForm {
    csrf_token: Option<String>,
    pub(super) username: Option<String>,
    password: Option<String>,
    remember: Option<String>,
    pub(super) next: Option<String>,
}

/// Shows the form; leads on whoever is logged in already.
pub(crate) async fn show(State(app): State<Arc<App>>, headers: HeaderMap, next: Next) -> Response {
    let next = next.checked(&app);
    let target = redirect::target(&app.settings, next.as_deref());
    // Not knowing is no reason to keep the form from anybody. Another host may not see our cookie
    // and send the browser back to us for ever, so only our own pages are led to.
    let is_logged_in = matches!(session::find(&app, &headers).await, Ok(Some(_)));
    if is_logged_in && target.starts_with('/') {
        return answer::go(&app, target, None);
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
    let remember = form.remember.is_some();
    let next = Next { next: form.next.clone() }.checked(&app);
    let result = match request(&app, &headers, arrival, form) {
        Ok(request) => login_flow::login(&app, request).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    match result {
        Ok(logged_in) => welcome(&app, logged_in, next.as_deref()),
        Err(problem) => {
            let (mut view, cookies) = view(&app, &headers, next);
            view.form = view.form.typed("username", &typed).refused(&problem);
            view.remember = remember;
            answer::with_cookies(answer::refused(problem, &view), &cookies)
        }
    }
}

/// The login that a form asks for.
pub(super) fn request(
    app: &App,
    headers: &HeaderMap,
    arrival: Arrival,
    form: LoginForm,
) -> Result<LoginRequest, Problem> {
    csrf::check_form_csrf(app, headers, form.csrf_token.as_deref().unwrap_or_default())?;
    let remember = form.remember.is_some();
    let (login, password) = Fields::default().login((form.username, None), form.password)?;
    let earlier = session::cookie_token(app, headers).map(str::to_owned);
    let Arrival { client, device, request_id } = arrival;
    Ok(LoginRequest { login, password, remember, client, device, earlier, request_id })
}

fn welcome(app: &Arc<App>, mut logged_in: LoggedIn, next: Option<&str>) -> Response {
    let mut cookies = HeaderMap::new();
    login_flow::welcome(app, &mut logged_in, &mut cookies);
    let target = redirect::target(&app.settings, next);
    answer::with_cookies(answer::go(app, target, Some(Flash::LoggedIn)), &cookies)
}

fn view(app: &App, headers: &HeaderMap, next: Option<String>) -> (LoginView, HeaderMap) {
    let door = Door::new(app, headers);
    let view = LoginView {
        frame: door.frame,
        form: Form::login(door.csrf_token, next),
        remember: false,
        registration_open: app.service.policy().registration_open,
    };
    (view, door.cookies)
}
