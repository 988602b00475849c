//! An operator, who has logged in as such. Everybody else is led to the login and back.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use nightlatch_core::Actor;
use nightlatch_core::service::ActiveSession;

use crate::http::app::App;
use crate::http::client::Peer;
use crate::http::csrf;
use crate::http::pages::answer;
use crate::http::pages::flash::Flash;
use crate::http::pages::view::{Account, Frame, Section, href};
use crate::http::problem::Problem;
use crate::http::session::Asks;

/// A good session of an operator, with what the forms on its pages need.
pub(crate) struct Operator {
    pub(crate) active: ActiveSession,
    pub(crate) csrf_token: String,
    /// Who does what is done by this request.
    pub(crate) actor: Actor,
}

impl Operator {
    /// What stands around a page of theirs.
    pub(crate) fn frame(&self, app: &App, headers: &HeaderMap) -> Frame {
        let csrf_token = self.csrf_token.clone();
        let account = Some(Account { csrf_token, section: Section::Operators });
        Frame { flash: answer::flash(app, headers), account }
    }

    /// Checks that a form came from their own page.
    pub(crate) fn check_form(
        &self,
        app: &App,
        headers: &HeaderMap,
        presented: Option<&str>,
    ) -> Result<(), Problem> {
        csrf::check_session_csrf(app, headers, presented, self.active.token)
    }
}

/// Whose session the cookie is, if it is an operator's.
pub(super) async fn find(app: &App, headers: &HeaderMap) -> Result<Option<ActiveSession>, Problem> {
    let Some(cookie) = app.settings.cookies.session(headers) else { return Ok(None) };
    Ok(app.service.check_operator(cookie, app.check_deadline()).await?)
}

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let found = find(app, &parts.headers).await.map_err(IntoResponse::into_response)?;
        let Some(active) = found else {
            let login = href("/operator/login", Some(parts.uri.path()));
            return Err(answer::go(app, &login, Some(Flash::LoginNeeded)));
        };
        let asks = Asks::from_request_parts(parts, app).await;
        let Asks(actor) = asks.map_err(IntoResponse::into_response)?;
        let csrf_token = active.csrf_token(&app.service.keys().csrf).to_owned();
        let actor = actor.as_operator(&active.user().username);
        Ok(Self { active, csrf_token, actor })
    }
}

/// The other end of the connection.
pub(super) struct From(pub(super) Option<Peer>);

impl<S: Send + Sync> FromRequestParts<S> for From {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Peer>().copied()))
    }
}
