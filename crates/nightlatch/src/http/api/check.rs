//! Any method /api/v1/auth/check: forward-auth, by which a proxy asks whether to let a request through.
//!
//! It changes nothing, so it wants no proof against CSRF; and what it says to one client is never another's.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::header::{LOCATION, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use nightlatch_core::service::ActiveSession;
use nightlatch_core::{Email, User};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::http::app::App;
use crate::http::client::Peer;
use crate::http::problem::{Code, Problem};
use crate::http::{forwarded, session};

/// The endpoint.
pub(crate) const PATH: &str = "/api/v1/auth/check";

/// The same with the path of the request that is asked about behind it, as Envoy sends it.
pub(crate) const PATH_WITH_MORE: &str = "/api/v1/auth/check/{*path}";

const REMOTE_USER: HeaderName = HeaderName::from_static("remote-user");
const REMOTE_GROUPS: HeaderName = HeaderName::from_static("remote-groups");
const REMOTE_NAME: HeaderName = HeaderName::from_static("remote-name");
const REMOTE_EMAIL: HeaderName = HeaderName::from_static("remote-email");
const X_SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");

/// What is not written as it is. Bytes beyond ASCII are Latin-1 to one program, UTF-8 to the next and an
/// error to a third; and `%` itself, so that no two names are written alike.
const HEADER_VALUE: &AsciiSet = &CONTROLS.add(b'%');

/// Whether a path is the endpoint's, in either form.
pub(crate) fn is_check(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Says to a proxy whether a request has a session, and whose. Any method, any path behind it.
#[utoipa::path(
    get,
    path = "/api/v1/auth/check",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    params(
        ("groups" = Option<String>, Query, description = "Names of groups, separated by commas: who is in none of them gets 403. Given more than once, each list counts."),
        ("X-Forwarded-Method" = Option<String>, Header, description = "Of a trusted proxy: the method of the request that is asked about, if it is not this one's."),
        ("X-Forwarded-Proto" = Option<String>, Header, description = "Of a trusted proxy: `https` or `http`."),
        ("X-Forwarded-Host" = Option<String>, Header, description = "Of a trusted proxy: the host that was asked for."),
        ("X-Forwarded-Uri" = Option<String>, Header, description = "Of a trusted proxy: path and query that were asked for."),
        ("X-Original-URL" = Option<String>, Header, description = "Of nginx, which can pass on 401 and 403 alone: with it (or `X-Original-URI`) the answer is never 302."),
    ),
    responses(
        (status = 200, description = "There is a session. Values are ASCII; what is not, and `%`, is percent-encoded UTF-8.", headers(
            ("Remote-User" = String, description = "The user name"),
            ("Remote-Groups" = String, description = "The groups, separated by commas; may be empty"),
            ("Remote-Name" = String, description = "The name to show; may be empty"),
            ("Remote-Email" = String, description = "The e-mail address, only if it is known to be this person's"),
            ("X-Session-Id" = String, description = "The id of the session, which is not its token"),
        )),
        (status = 302, description = "There is none, and a person asked a trusted proxy for a page: to the login page"),
        (status = 403, description = "not_in_group"),
    )
)]
pub(crate) async fn check(State(app): State<Arc<App>>, request: Request) -> Response {
    // Its body, if a proxy sends that too, is nobody's business here.
    let (parts, _) = request.into_parts();
    let answer = judge(&app, &parts).await;
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().insert(VARY, forwarded::VARY);
    response
}

async fn judge(app: &App, parts: &Parts) -> Result<Response, Problem> {
    let Some(active) = session::find(app, &parts.headers).await? else {
        return no_session(app, parts);
    };
    if !is_in_asked_groups(active.user(), &parts.uri) {
        return Err(Problem::new(Code::NotInGroup));
    }
    Ok((StatusCode::OK, identity(&active)).into_response())
}

/// A person is led to the login, a program told.
fn no_session(app: &App, parts: &Parts) -> Result<Response, Problem> {
    let peer = parts.extensions.get::<Peer>().copied();
    let peer = peer.ok_or_else(|| Problem::new(Code::InternalError))?;
    let asked = (&parts.method, &parts.headers);
    let page = forwarded::login_page(&app.settings, peer, asked);
    let page = page.ok_or_else(|| Problem::new(Code::NoSession))?;
    Ok((StatusCode::FOUND, [(LOCATION, page)]).into_response())
}

/// Who asks, for the application behind the proxy. Groups and name are there even if they are empty: a
/// proxy that copies only what is there would leave its client's own.
fn identity(active: &ActiveSession) -> HeaderMap {
    let user = active.user();
    let mut headers = HeaderMap::with_capacity(5);
    headers.insert(REMOTE_USER, value_of(user.username.as_str()));
    headers.insert(REMOTE_GROUPS, value_of(&user.groups.as_slice().join(",")));
    headers.insert(REMOTE_NAME, value_of(&user.name));
    if let Some(email) = user.email.as_ref().filter(|_| user.email_verified) {
        headers.insert(REMOTE_EMAIL, value_of(Email::as_str(email)));
    }
    let id = active.session().id;
    let id = id.as_uuid().hyphenated();
    headers.insert(X_SESSION_ID, value_of(id.encode_lower(&mut uuid::Uuid::encode_buffer())));
    headers
}

fn value_of(text: &str) -> HeaderValue {
    let text: std::borrow::Cow<'_, str> = utf8_percent_encode(text, HEADER_VALUE).into();
    HeaderValue::from_str(&text).expect("what is not visible ASCII is encoded")
}

/// Whether the user is in one group of each list that the proxy asks for: more lists never let more people
/// in. Behind a longer path stands the query of the application, which asks for nothing here.
fn is_in_asked_groups(user: &User, uri: &Uri) -> bool {
    if uri.path() != PATH || uri.query().is_none() {
        return true;
    }
    let Ok(Query(asked)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else { return false };
    let is_member = |group: &str| user.groups.contains(group.trim());
    asked
        .iter()
        .filter(|(name, _)| name == "groups")
        .all(|(_, groups)| groups.split(',').any(is_member))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_plain_ascii_and_no_two_names_are_written_alike() {
        for (text, expected) in [
            ("alice", "alice"),
            ("Ann O'Neill, Jr.", "Ann O'Neill, Jr."),
            ("José", "Jos%C3%A9"),
            ("Jos%C3%A9", "Jos%25C3%25A9"),
            ("a\r\nRemote-User: root", "a%0D%0ARemote-User: root"),
            ("名\u{7f}\u{202e}", "%E5%90%8D%7F%E2%80%AE"),
            ("", ""),
        ] {
            assert_eq!(value_of(text), expected);
        }
    }

    #[test]
    fn the_endpoint_is_its_path_and_what_is_beneath() {
        for (path, expected) in [
            (PATH, true),
            ("/api/v1/auth/check/", true),
            ("/api/v1/auth/check/a/b", true),
            ("/api/v1/auth/checks", false),
            ("/api/v1/auth", false),
        ] {
            assert_eq!(is_check(path), expected, "{path}");
        }
    }
}
