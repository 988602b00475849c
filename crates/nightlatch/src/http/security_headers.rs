//! Headers that tell browsers what our answers may do.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::app::Settings;

/// Nothing of an API answer may be run, framed or loaded from.
const API_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; frame-ancestors 'none'");

const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");

/// The headers of a server's answers.
pub(crate) struct SecurityHeaders {
    page_policy: HeaderValue,
    is_tls_only: bool,
}

impl SecurityHeaders {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            page_policy: page_policy(settings),
            is_tls_only: settings.environment.is_production(),
        }
    }

    /// Adds the headers to an answer; what a handler set itself stays.
    pub(crate) fn add(&self, is_page: bool, headers: &mut HeaderMap) {
        let mut set = |name: HeaderName, value: HeaderValue| {
            headers.entry(name).or_insert(value);
        };
        set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        set(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Not `no-referrer`: with it browsers post `Origin: null`, which we refuse.
        set(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        set(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
        if self.is_tls_only {
            set(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
        set(CONTENT_SECURITY_POLICY, if is_page { self.page_policy.clone() } else { API_POLICY });
    }
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
