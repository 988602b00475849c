//! Somebody who is logged in, on a page that needs it. Everybody else is led to the login and back.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use nightlatch_core::service::ActiveSession;

use super::answer;
use super::flash::Flash;
use super::view::{Account, Frame, Section};
use crate::http::app::App;
use crate::http::problem::Problem;
use crate::http::{csrf, session};

/// A good session, with the token for the forms on its pages.
pub(crate) struct Visitor {
    pub(crate) active: ActiveSession,
    pub(crate) csrf_token: String,
}

impl Visitor {
    /// What stands around a page of theirs.
    pub(crate) fn frame(&self, section: Section, flash: Option<Flash>) -> Frame {
        let csrf_token = self.csrf_token.clone();
        Frame { flash, account: Some(Account { csrf_token, section }) }
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

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let found = session::find(app, &parts.headers).await;
        let Some(active) = found.map_err(IntoResponse::into_response)? else {
            return Err(to_login(app, parts.uri.path()));
        };
        let csrf_token = active.csrf_token(&app.service.keys().csrf).to_owned();
        Ok(Self { active, csrf_token })
    }
}

/// Leads to the login, and from there back to one of our own pages.
pub(crate) fn to_login(app: &App, back: &str) -> Response {
    answer::go(app, &format!("/auth/login?next={back}"), Some(Flash::LoginNeeded))
}
