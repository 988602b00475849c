//! What the auth service is asked: one POST for a login, one GET about somebody who is logged in, and a
//! question that changes nothing for the prober.

use axum::body::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use nightlatch_core::{HandedOn, Subject};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::config::{AuthServiceConfig, SUBJECT, ServiceCredentials, WebOrigin};

const X_SERVICE_ID: HeaderName = HeaderName::from_static("x-service-id");
const X_SERVICE_SECRET: HeaderName = HeaderName::from_static("x-service-secret");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("nightlatch/", env!("CARGO_PKG_VERSION")));

/// What needs no encoding in a segment of a path (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One login, which may be sent several times.
pub(super) struct LoginRequest {
    head: Head,
    request_id: HeaderValue,
    body: Zeroizing<Vec<u8>>,
}

/// What all requests have in common.
struct Head {
    path: Uri,
    host: HeaderValue,
    id: HeaderValue,
    secret: HeaderValue,
}

impl LoginRequest {
    pub(super) fn new(
        config: &AuthServiceConfig,
        credentials: &ServiceCredentials,
        login: HandedOn<'_>,
    ) -> Result<Self, Failure> {
        let head = Head::new(config, credentials, &config.login_path)?;
        let request_id = HeaderValue::from_str(login.request_id)
            .unwrap_or_else(|_| HeaderValue::from_static("-"));
        let mut members = Map::new();
        members.insert(config.username_field.clone(), Value::from(login.login.trim()));
        members.insert("password".to_owned(), Value::from(login.password.expose()));
        let body = serde_json::to_vec(&members).unwrap_or_default();
        wipe(members);
        Ok(Self { head, request_id, body: Zeroizing::new(body) })
    }

    pub(super) fn to_http(&self) -> Request<Full<Bytes>> {
        let mut request = self.head.request(Method::POST, Bytes::from_owner(self.body.clone()));
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        request.headers_mut().insert(X_REQUEST_ID, self.request_id.clone());
        request
    }
}

/// What `OPTIONS` is for (RFC 9110, 9.3.7): it asks how to talk to the endpoint, and does nothing.
pub(super) fn question(
    config: &AuthServiceConfig,
    credentials: &ServiceCredentials,
) -> Result<Request<Full<Bytes>>, Failure> {
    let head = Head::new(config, credentials, &config.login_path)?;
    Ok(head.request(Method::OPTIONS, Bytes::new()))
}

/// The same question without our credentials.
pub(super) fn anonymous(
    config: &AuthServiceConfig,
    origin: &WebOrigin,
) -> Result<Request<Full<Bytes>>, Failure> {
    let path = config.login_path.parse().map_err(|_| Failure::no_target())?;
    let host = HeaderValue::from_str(&origin.authority()).map_err(|_| Failure::no_target())?;
    Ok(bare(Method::OPTIONS, path, host, Bytes::new()))
}

/// What is asked about somebody who is logged in.
pub(super) fn about(
    config: &AuthServiceConfig,
    credentials: &ServiceCredentials,
    subject: &Subject,
) -> Result<Request<Full<Bytes>>, Failure> {
    let id = utf8_percent_encode(subject.as_str(), UNRESERVED).to_string();
    let head = Head::new(config, credentials, &config.user_path.replace(SUBJECT, &id))?;
    let mut request = head.request(Method::GET, Bytes::new());
    // An old answer would let somebody stay, or log them out again.
    request.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    Ok(request)
}

impl Head {
    fn new(
        config: &AuthServiceConfig,
        credentials: &ServiceCredentials,
        path: &str,
    ) -> Result<Self, Failure> {
        let origin = config.origin.as_ref().ok_or_else(Failure::no_target)?;
        let path = path.parse().map_err(|_| Failure::no_target())?;
        let host = HeaderValue::from_str(&origin.authority()).map_err(|_| Failure::no_target())?;
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Failure::no_credentials());
        let mut secret = value(credentials.secret.expose())?;
        secret.set_sensitive(true);
        Ok(Self { path, host, id: value(&credentials.id)?, secret })
    }

    fn request(&self, method: Method, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = bare(method, self.path.clone(), self.host.clone(), body);
        let headers = request.headers_mut();
        headers.insert(X_SERVICE_ID, self.id.clone());
        headers.insert(X_SERVICE_SECRET, self.secret.clone());
        request
    }
}

/// A request that says nothing of who asks.
fn bare(method: Method, path: Uri, host: HeaderValue, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(USER_AGENT, AGENT);
    headers.insert(ACCEPT, JSON);
    request
}

fn wipe(members: Map<String, Value>) {
    for (_, value) in members {
        if let Value::String(text) = value {
            drop(Zeroizing::new(text));
        }
    }
}
