//! What the pages before login share: the proof that a form is ours, and where to go afterwards.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use nightlatch_core::PreSession;
use serde::Deserialize;

use super::answer;
use super::view::Frame;
use crate::http::app::App;
use crate::http::{cookie, redirect};

/// Where the person wanted to go.
#[derive(Default, Deserialize)]
pub(crate) struct Next {
    pub(crate) next: Option<String>,
}

impl Next {
    /// Only what is safe to go to is kept in the form.
    pub(crate) fn checked(self, app: &App) -> Option<String> {
        self.next.filter(|next| redirect::is_safe(&app.settings, next))
    }
}

/// An address that cannot be read leads nowhere in particular; the page is shown all the same.
impl FromRequestParts<Arc<App>> for Next {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Query::try_from_uri(&parts.uri).map(|Query(next)| next).unwrap_or_default())
    }
}

/// A page in front of the door.
pub(crate) struct Door {
    pub(crate) frame: Frame,
    pub(crate) csrf_token: String,
    pub(crate) cookies: HeaderMap,
}

impl Door {
    /// Keeps the browser's pre-session value, so that forms in several tabs stay good.
    pub(crate) fn new(app: &App, headers: &HeaderMap) -> Self {
        let own = app.settings.cookies.pre_session(headers).and_then(PreSession::parse);
        let pre = own.unwrap_or_else(|| PreSession::fresh(app.service.entropy()));
        let mut cookies = HeaderMap::new();
        cookie::append(&mut cookies, app.settings.cookies.set_pre_session(&pre.to_cookie()));
        Self {
            frame: Frame { flash: answer::flash(app, headers), account: None },
            csrf_token: app.service.keys().csrf.for_pre_session(pre),
            cookies,
        }
    }
}
