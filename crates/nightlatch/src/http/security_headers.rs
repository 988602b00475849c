//! Headers that tell browsers what our answers may do.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::http::app::{App, Settings};
use crate::http::pages;

/// Nothing of an API answer may be run, framed or loaded from.
const API_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; frame-ancestors 'none'");

/// Adds the headers to every answer; what a handler set itself stays.
pub(crate) async fn add(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_page = pages::is_page(request.uri().path());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: with it browsers post `Origin: null`, which we refuse.
    set(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    if app.settings.environment.is_production() {
        set(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    let policy = if is_page { page_policy(&app.settings) } else { API_POLICY };
    set(CONTENT_SECURITY_POLICY, policy);
    response
}

/// Our own style and script and nothing else. Browsers apply `form-action` to where a form's answer
/// redirects to, so the hosts that a login may lead to stand there too.
fn page_policy(settings: &Settings) -> HeaderValue {
    let mut policy = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; \
        connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
        form-action 'self'"
        .to_owned();
    for host in &settings.redirect_hosts {
        policy.push(' ');
        policy.push_str(&host.to_string());
    }
    HeaderValue::from_str(&policy).expect("origins are plain ASCII")
}
