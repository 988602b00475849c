//! Whose request this is, and who makes it.
//!
//! Extractors, so that each handler says in its arguments what it needs, and the session check is asked
//! once.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use nightlatch_core::service::ActiveSession;
use nightlatch_core::{Actor, Client, Device, TokenHash};

use crate::http::app::App;
use crate::http::client::{self, Peer};
use crate::http::cookie;
use crate::http::csrf;
use crate::http::problem::{Code, Problem};
use crate::http::request_id::HandedOnId;
use crate::http::traffic::CheckOutcome;

/// A request with a good session.
pub(crate) struct Authenticated(pub(crate) ActiveSession);

/// A request that changes something, with a good session and the proof that our page sent it.
pub(crate) struct AuthenticatedWrite {
    pub(crate) active: ActiveSession,
    pub(crate) by: By,
}

/// A request that ends its own session: the token is one of ours and our page sent it. The record
/// is not asked, so that a logout is heard while it is away.
pub(crate) struct EndsItself {
    pub(crate) token: TokenHash,
    pub(crate) by: By,
}

/// By what a request proves whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A browser sends it, with whatever page: a change needs our page's token, too.
    Cookie,
    /// A program has to say it.
    Bearer,
}

/// Where a request came from.
pub(crate) struct From(pub(crate) Client);

/// All that a login has to know of its request.
pub(crate) struct Arrival {
    /// Where it comes from.
    pub(crate) client: Client,
    /// The browser, if it has our cookie.
    pub(crate) device: Option<Device>,
    /// The id of the request.
    pub(crate) request_id: String,
}

/// Who makes a request, as the audit log tells of what comes of it.
pub(crate) struct Asks(pub(crate) Actor);

/// The browser, if it has our cookie.
pub(crate) struct FromDevice(pub(crate) Option<Device>);

impl By {
    /// Forgets the session of a request that has ended it.
    pub(crate) fn forget(self, app: &App, headers: &mut HeaderMap) {
        if self == Self::Cookie {
            cookie::append(headers, app.settings.cookies.clear_session());
        }
    }
}

/// What a request presents, if anything. An `Authorization` header alone decides.
fn presented<'h>(app: &App, headers: &'h HeaderMap) -> Option<(By, &'h str)> {
    let mut authorizations = headers.get_all(AUTHORIZATION).iter();
    let Some(authorization) = authorizations.next() else {
        let token = app.settings.cookies.session(headers).filter(|token| !token.is_empty())?;
        return Some((By::Cookie, token));
    };
    // Two of them say two things.
    let is_one = authorizations.next().is_none();
    bearer(authorization).filter(|_| is_one).map(|token| (By::Bearer, token))
}

/// The token of a header (RFC 6750, 2.1).
fn bearer(authorization: &HeaderValue) -> Option<&str> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The token of the session cookie, of a request that goes by it.
pub(crate) fn cookie_token<'h>(app: &App, headers: &'h HeaderMap) -> Option<&'h str> {
    presented(app, headers).filter(|(by, _)| *by == By::Cookie).map(|(_, token)| token)
}

/// Checks the session of a request; `None`: we know that there is none.
pub(crate) async fn find(app: &App, headers: &HeaderMap) -> Result<Option<ActiveSession>, Problem> {
    Ok(find_by(app, headers).await?.map(|(_, active)| active))
}

async fn find_by(app: &App, headers: &HeaderMap) -> Result<Option<(By, ActiveSession)>, Problem> {
    let Some((by, token)) = presented(app, headers) else {
        return Ok(None);
    };
    let found = match by {
        By::Cookie => app.service.check_session(token, app.check_deadline()).await,
        // Boxed: a cookie's check, which is more frequent, is not made larger by it.
        By::Bearer => Box::pin(app.service.check_bearer(token, app.check_deadline())).await,
    };
    app.traffic.count_session_check(match &found {
        Ok(Some(_)) => CheckOutcome::Session,
        Ok(None) => CheckOutcome::None,
        Err(_) => CheckOutcome::Unknown,
    });
    Ok(found?.map(|active| (by, active)))
}

async fn require(app: &App, headers: &HeaderMap) -> Result<(By, ActiveSession), Problem> {
    find_by(app, headers).await?.ok_or_else(|| Problem::new(Code::NoSession))
}

impl FromRequestParts<Arc<App>> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        require(app, &parts.headers).await.map(|(_, active)| Self(active))
    }
}

impl FromRequestParts<Arc<App>> for AuthenticatedWrite {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        if cookie_token(app, &parts.headers).is_some() {
            csrf::check_origin(app, &parts.headers)?;
        }
        let (by, active) = require(app, &parts.headers).await?;
        if by == By::Cookie {
            csrf::check_session_csrf(app, &parts.headers, None, active.token)?;
        }
        Ok(Self { active, by })
    }
}

impl FromRequestParts<Arc<App>> for EndsItself {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let (by, token) = own_token(app, &parts.headers).await?;
        if by == By::Cookie {
            csrf::check_session_csrf(app, &parts.headers, None, token)?;
        }
        Ok(Self { token, by })
    }
}

/// What the presented token could be a session of, without asking the record.
async fn own_token(app: &App, headers: &HeaderMap) -> Result<(By, TokenHash), Problem> {
    let none = || Problem::new(Code::NoSession);
    let (by, token) = presented(app, headers).ok_or_else(none)?;
    let token = match by {
        By::Cookie => app.service.token_hash(token),
        By::Bearer => app.service.bearer_token(token, app.check_deadline()).await?,
    };
    Ok((by, token.ok_or_else(none)?))
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

impl FromRequestParts<Arc<App>> for Asks {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let From(client) = From::from_request_parts(parts, app).await?;
        let Ok(HandedOnId(request_id)) = HandedOnId::from_request_parts(parts, app).await;
        Ok(Self(Actor::user(client.address, &request_id)))
    }
}

impl FromRequestParts<Arc<App>> for Arrival {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let From(client) = From::from_request_parts(parts, app).await?;
        let FromDevice(device) = FromDevice::from_request_parts(parts, app).await?;
        let Ok(HandedOnId(request_id)) = HandedOnId::from_request_parts(parts, app).await;
        Ok(Self { client, device, request_id })
    }
}
