//! The registration page, `/auth/register`.
//!
//! It leads to the login instead of logging in: the password manager learns the new password there.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use nightlatch_core::service::RegisterRequest;
use serde::Deserialize;

use super::answer;
use super::door::{Door, Next};
use super::flash::Flash;
use super::form::Form;
use super::view::{self, RegisterView};
use crate::http::app::App;
use crate::http::field::Fields;
use crate::http::problem::{Code, Problem};
use crate::http::session::Arrival;
use crate::http::{body, csrf};

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct RegisterForm {
    csrf_token: Option<String>,
    username: Option<String>,
    email: Option<String>,
    name: Option<String>,
    password: Option<String>,
    next: Option<String>,
}

/// Shows the form.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    next: Next,
) -> Result<Response, Problem> {
    if !app.service.policy().registration_open {
        return Err(Problem::new(Code::RegistrationClosed));
    }
    let next = next.checked(&app);
    let (view, cookies) = view(&app, &headers, next);
    Ok(answer::with_cookies(answer::page(&app, &headers, &view), &cookies))
}

/// Registers, and leads to the login.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    arrival: Arrival,
    body::Form(form): body::Form<RegisterForm>,
) -> Response {
    let next = Next { next: form.next.clone() }.checked(&app);
    let typed = [("username", &form.username), ("email", &form.email), ("name", &form.name)]
        .map(|(name, value)| (name, value.clone().unwrap_or_default()));
    let result = match parse(&app, &headers, arrival, form) {
        Ok(request) => {
            app.service.register(request, app.login_deadline()).await.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    match result {
        Ok(user) => {
            tracing::info!(event = "user.registered", user.id = %user.id);
            let login = view::href("/auth/login", next.as_deref());
            answer::go(&app, &login, Some(Flash::Registered))
        }
        Err(problem) => {
            let (mut view, cookies) = view(&app, &headers, next);
            let shown = typed.iter().fold(view.form, |form, (name, value)| form.typed(name, value));
            view.form = shown.refused(&problem);
            answer::with_cookies(answer::refused(problem, &view), &cookies)
        }
    }
}

fn parse(
    app: &App,
    headers: &HeaderMap,
    arrival: Arrival,
    form: RegisterForm,
) -> Result<RegisterRequest, Problem> {
    csrf::check_form_csrf(app, headers, form.csrf_token.as_deref().unwrap_or_default())?;
    let mut fields = Fields::default();
    let username = fields.new_username("username", form.username.as_deref());
    let email = fields.email("email", form.email.as_deref());
    let name = fields.display_name("name", form.name.as_deref());
    let password = fields.password("password", form.password);
    fields.check()?;
    let (Some(username), Some(password)) = (username, password) else {
        return Err(fields.into_problem());
    };
    let Arrival { client, request_id, .. } = arrival;
    let address = client.address;
    Ok(RegisterRequest { username, email, name, password, address, request_id })
}

fn view(app: &App, headers: &HeaderMap, next: Option<String>) -> (RegisterView, HeaderMap) {
    let door = Door::new(app, headers);
    let form = Form::register(door.csrf_token, next);
    (RegisterView { frame: door.frame, form }, door.cookies)
}
