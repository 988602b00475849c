//! What a trusted proxy says of the request that it asks about: where a login leads back to.
//!
//! A proxy writes down what its client wrote, so all of it is read as from the client: said twice, named as
//! a matter of the connection, or of a spelling that two programs could read in two ways, it is not believed.

use axum::http::header::{ACCEPT, CONNECTION};
use axum::http::{HeaderMap, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::{Scheme, WebOrigin};
use crate::http::app::Settings;
use crate::http::client::{self, Peer};
use crate::http::redirect;

const METHOD: &str = "x-forwarded-method";
const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";
const URI: &str = "x-forwarded-uri";

/// What nginx is told to send, which turns every answer but 2xx, 401 and 403 into 500.
const OF_NGINX: [&str; 2] = ["x-original-url", "x-original-uri"];

/// All that the answer to a check may depend on.
pub(crate) const VARY: HeaderValue = HeaderValue::from_static(
    "Accept, Authorization, Connection, Cookie, X-Forwarded-Host, X-Forwarded-Method, X-Forwarded-Proto, X-Forwarded-Uri, X-Original-URI, X-Original-URL",
);

/// The value of a query's parameter: only what RFC 3986 leaves unreserved stands for itself.
const QUERY_VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A header that says two things, or that the connection takes away.
pub(crate) struct Doubtful;

/// The login page, if the request that is asked about is a person's who wants to see a page.
pub(crate) fn login_page(
    settings: &Settings,
    peer: Peer,
    (method, headers): (&Method, &HeaderMap),
) -> Option<String> {
    if !client::is_trusted(peer.0.ip(), &settings.trusted_proxies) {
        return None;
    }
    let (method, uri) = (one(headers, METHOD).ok()?.unwrap_or(method.as_str()), one(headers, URI));
    let is_of_nginx = OF_NGINX.iter().any(|name| headers.contains_key(*name));
    if method != Method::GET.as_str() || is_of_nginx || !accepts_pages(headers) {
        return None;
    }
    let uri = uri.ok()??;
    let mut page = format!("{}/auth/login", settings.public_origin);
    if let Some(back) = way_back(settings, headers, uri) {
        page.push_str("?next=");
        page.extend(utf8_percent_encode(&back, QUERY_VALUE));
    }
    Some(page)
}

/// The page that was wanted, if a login may lead to it.
fn way_back(settings: &Settings, headers: &HeaderMap, uri: &str) -> Option<String> {
    let scheme = match scheme(headers).ok()?? {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return None,
    };
    let origin = WebOrigin::from_authority(scheme, one(headers, HOST).ok()??).ok()?;
    // Behind anything but a slash it would go on with the host.
    let back = uri.starts_with('/').then(|| format!("{origin}{uri}"))?;
    redirect::is_safe(settings, &back).then_some(back)
}

/// How the client reached the proxy, as it says.
pub(crate) fn scheme(headers: &HeaderMap) -> Result<Option<&str>, Doubtful> {
    one(headers, PROTO)
}

/// The one value of a header.
pub(crate) fn one<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Doubtful> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || is_of_connection(headers, name) {
        return Err(Doubtful);
    }
    value.to_str().map(Some).map_err(|_| Doubtful)
}

/// Whether the client had a header taken away on the way, or tried to (RFC 9110, 7.6.1).
fn is_of_connection(headers: &HeaderMap, name: &str) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case(name)))
}

/// Whether somebody looks at what comes back.
pub(crate) fn accepts_pages(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|range| {
        let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
        kind.trim().eq_ignore_ascii_case("text/html") && !is_refused(parameters)
    })
}

/// `q=0`, which says "not that" (RFC 9110, 12.4.2).
fn is_refused(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, weight)| {
        name.trim().eq_ignore_ascii_case("q")
            && weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_for_whoever_accepts_one() {
        for (accept, expected) in [
            (&["text/html"][..], true),
            (&["application/json, Text/HTML;q=0.8"][..], true),
            (&["text/plain", "text/html;level=1"][..], true),
            (&["*/*"][..], false),
            (&["application/json"][..], false),
            (&["text/html;q=0"][..], false),
            (&["text/html; Q=0.000"][..], false),
            (&["text/htmlx"][..], false),
            (&[][..], false),
        ] {
            let lines = accept.iter().map(|value| (ACCEPT, value.parse().unwrap()));
            assert_eq!(accepts_pages(&lines.collect()), expected, "{accept:?}");
        }
    }

    #[test]
    fn what_is_said_twice_or_belongs_to_the_connection_is_not_believed() {
        let read = |lines: &[(&str, &str)]| {
            let lines = lines.iter().map(|(name, value)| {
                (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
            });
            let headers: HeaderMap = lines.collect();
            one(&headers, HOST).ok().map(|value| value.map(str::to_owned))
        };
        assert_eq!(read(&[]), Some(None));
        assert_eq!(read(&[("x-forwarded-host", "a")]), Some(Some("a".to_owned())));
        assert_eq!(read(&[("x-forwarded-host", "a"), ("x-forwarded-host", "a")]), None);
        assert_eq!(
            read(&[("x-forwarded-host", "a"), ("connection", "close, X-Forwarded-Host")]),
            None
        );
    }
}
