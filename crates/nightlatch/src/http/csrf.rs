//! Proof that an unsafe request came from our own page: its origin, and a token only our pages know.

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use nightlatch_core::{PreSession, TokenHash};

use crate::config::WebOrigin;
use crate::http::app::App;
use crate::http::problem::{Code, Problem};

/// Refuses requests that a browser sent for somebody else's page. A request without `Origin` and
/// fetch metadata is no browser's.
pub(crate) fn check_origin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let refused = || Problem::new(Code::CsrfFailed);
    let settings = &app.settings;
    if let Some(origin) = headers.get(ORIGIN) {
        // `null` and what is no origin do not parse, and are refused with the strangers.
        let origin: WebOrigin =
            origin.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(refused)?;
        if settings.allowed_origins.contains(&origin) {
            return Ok(());
        }
        let is_ours = origin == settings.public_origin
            || (settings.trusts_host && is_own_host(&origin, headers));
        if !is_ours {
            return Err(refused());
        }
    }
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Err(refused());
    }
    Ok(())
}

/// Outside production, and at the operators' page, the address typed into the browser may be any of this
/// machine's. Whoever gives it another name (DNS rebinding) has none of the cookies.
fn is_own_host(origin: &WebOrigin, headers: &HeaderMap) -> bool {
    headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .and_then(|host| WebOrigin::from_authority(origin.scheme(), host).ok())
        .is_some_and(|host| host == *origin)
}

/// Checks origin and session token of an unsafe request that authenticates by cookie.
pub(crate) fn check_session_csrf(
    app: &App,
    headers: &HeaderMap,
    presented: Option<&str>,
    session: TokenHash,
) -> Result<(), Problem> {
    check_origin(app, headers)?;
    let header = headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
    match header.or(presented) {
        Some(token) if app.service.keys().csrf.is_for_session(token, session) => Ok(()),
        Some(_) | None => Err(Problem::new(Code::CsrfFailed)),
    }
}

/// Checks origin and token of a form before login.
pub(crate) fn check_form_csrf(
    app: &App,
    headers: &HeaderMap,
    presented: &str,
) -> Result<(), Problem> {
    check_origin(app, headers)?;
    let pre = app.settings.cookies.pre_session(headers).and_then(PreSession::parse);
    match pre {
        Some(pre) if app.service.keys().csrf.is_for_pre_session(presented, pre) => Ok(()),
        Some(_) | None => Err(Problem::new(Code::CsrfFailed)),
    }
}
