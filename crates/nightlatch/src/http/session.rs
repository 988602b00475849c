//! Whose request this is: extractors that ask the session check once.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use nightlatch_core::service::ActiveSession;
use nightlatch_core::{Client, Device, TokenHash};

use crate::http::app::App;
use crate::http::client::{self, Peer};
use crate::http::csrf;
use crate::http::problem::{Code, Problem};

/// A request with a good session.
pub(crate) struct Authenticated(pub(crate) ActiveSession);

/// A request that changes something, with a good session and the proof that our page sent it.
pub(crate) struct AuthenticatedWrite(pub(crate) ActiveSession);

/// A request that ends its own session: the token is one of ours and our page sent it. The record
/// is not asked, so that a logout is heard while it is away.
pub(crate) struct EndsItself(pub(crate) TokenHash);

/// Where a request came from.
pub(crate) struct From(pub(crate) Client);

/// The browser, if it has our cookie.
pub(crate) struct FromDevice(pub(crate) Option<Device>);

/// The session token that a request carries, if any. An `Authorization` header alone decides: this
/// release gives out no tokens for it, so none is good.
pub(crate) fn presented<'h>(app: &App, headers: &'h HeaderMap) -> Option<&'h str> {
    if headers.contains_key(AUTHORIZATION) {
        return None;
    }
    app.settings.cookies.session(headers).filter(|token| !token.is_empty())
}

/// Checks the session of a request; `None`: we know that there is none.
pub(crate) async fn find(app: &App, headers: &HeaderMap) -> Result<Option<ActiveSession>, Problem> {
    let Some(token) = presented(app, headers) else {
        return Ok(None);
    };
    let found = app.service.check_session(token, app.check_deadline()).await?;
    if found.is_some() {
        app.traffic.count_session_check();
    }
    Ok(found)
}

async fn require(app: &App, headers: &HeaderMap) -> Result<ActiveSession, Problem> {
    find(app, headers).await?.ok_or_else(|| Problem::new(Code::NoSession))
}

impl FromRequestParts<Arc<App>> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        require(app, &parts.headers).await.map(Self)
    }
}

impl FromRequestParts<Arc<App>> for AuthenticatedWrite {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        csrf::check_origin(app, &parts.headers)?;
        let active = require(app, &parts.headers).await?;
        csrf::check_session_csrf(app, &parts.headers, None, active.token)?;
        Ok(Self(active))
    }
}

impl FromRequestParts<Arc<App>> for EndsItself {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = own_token(app, &parts.headers)?;
        csrf::check_session_csrf(app, &parts.headers, None, token)?;
        Ok(Self(token))
    }
}

/// What the presented token could be a session of, without asking the record.
pub(crate) fn own_token(app: &App, headers: &HeaderMap) -> Result<TokenHash, Problem> {
    presented(app, headers)
        .and_then(|token| app.service.token_hash(token))
        .ok_or_else(|| Problem::new(Code::NoSession))
}

impl FromRequestParts<Arc<App>> for From {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().copied();
        // Only a request that did not come through the accept loop has none.
        let peer = peer.ok_or_else(|| Problem::new(Code::InternalError))?;
        Ok(Self(client::client(peer, &parts.headers, &app.settings.trusted_proxies)))
    }
}

impl FromRequestParts<Arc<App>> for FromDevice {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let cookie = app.settings.cookies.device(&parts.headers);
        Ok(Self(cookie.and_then(|cookie| app.service.keys().devices.open(cookie))))
    }
}
