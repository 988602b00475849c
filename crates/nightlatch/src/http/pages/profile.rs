//! The profile page, `/auth/profile`: who one is, until when, and the password change.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use nightlatch_core::User;
use nightlatch_core::service::{ChangePasswordRequest, LoggedIn};
use serde::Deserialize;

use super::answer;
use super::flash::Flash;
use super::form::Form;
use super::moment::Moment;
use super::view::{ProfileView, Section, UserView};
use super::visitor::{Visitor, to_login};
use crate::http::app::App;
use crate::http::field::Fields;
use crate::http::problem::{Code, Problem};
use crate::http::session::Arrival;
use crate::http::{body, login_flow};

/// What the form of the password change sends.
#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    csrf_token: Option<String>,
    current_password: Option<String>,
    new_password: Option<String>,
}

/// Shows the profile.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    visitor: Visitor,
) -> Response {
    let flash = answer::flash(&app, &headers);
    answer::page(&app, &headers, &view(&app, &visitor, flash))
}

/// Changes the password.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    visitor: Visitor,
    Arrival { client, device, request_id }: Arrival,
    body::Form(form): body::Form<PasswordForm>,
) -> Response {
    let checked = visitor.check_form(&app, &headers, form.csrf_token.as_deref());
    let result = match checked.and_then(|()| parse(form)) {
        Ok((current, new)) => {
            let active = visitor.active.clone();
            let request =
                ChangePasswordRequest { active, current, new, client, device, request_id };
            login_flow::change_password(&app, request).await.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    match result {
        Ok(logged_in) => changed(&app, logged_in),
        Err(problem) if problem.code() == Code::NoSession => to_login(&app, "/auth/profile"),
        Err(problem) => {
            let mut view = view(&app, &visitor, None);
            view.form = view.form.refused(&problem);
            answer::refused(problem, &view)
        }
    }
}

fn parse(
    form: PasswordForm,
) -> Result<(nightlatch_core::Password, nightlatch_core::Password), Problem> {
    let mut fields = Fields::default();
    let current = fields.password("current_password", form.current_password);
    let new = fields.password("new_password", form.new_password);
    match (current, new) {
        (Some(current), Some(new)) => Ok((current, new)),
        (None, _) | (_, None) => Err(fields.into_problem()),
    }
}

fn changed(app: &Arc<App>, mut logged_in: LoggedIn) -> Response {
    let mut cookies = HeaderMap::new();
    login_flow::welcome(app, &mut logged_in, &mut cookies);
    let response = answer::go(app, "/auth/profile", Some(Flash::PasswordChanged));
    answer::with_cookies(response, &cookies)
}

fn view(app: &App, visitor: &Visitor, flash: Option<Flash>) -> ProfileView {
    let (session, user) = (visitor.active.session(), visitor.active.user());
    let now = app.service.now();
    // An idle timeout that ends later than the session itself tells nothing.
    let idle = visitor.active.idle_expires_at.filter(|idle| *idle < session.expires_at);
    ProfileView {
        frame: visitor.frame(Section::Profile, flash),
        user: user_view(app, user),
        expires: Moment::new(session.expires_at, now),
        idle_expires: idle.map(|idle| Moment::new(idle, now)),
        form: Form::change_password(visitor.csrf_token.clone()),
    }
}

fn user_view(app: &App, user: &User) -> UserView {
    UserView {
        username: user.username.as_str().to_owned(),
        name: user.name.clone(),
        email: user.email.as_ref().map(|email| email.as_str().to_owned()),
        email_verified: user.email_verified,
        groups: user.groups.as_slice().to_vec(),
        created: Moment::new(user.created_at, app.service.now()),
    }
}
