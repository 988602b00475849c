//! A small HTTP/1.1 client for tests: the drill's connection, a cookie jar, and everything it was told.
//!
//! Libraries for production hide what tests are about: they retry, follow redirects and clean up
//! headers. This one sends what it is told and shows what comes back; an answer that is lost is
//! lost.

mod answer;
mod raw;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, COOKIE, HOST};
use hyper::{HeaderMap, Method};
use nightlatch_drill::client as wire;
use serde_json::Value;

pub use answer::{Answer, SetCookie};
pub use nightlatch_drill::client::Lost;
pub use raw::{RawAnswer, raw};

/// How long any answer may take: above every deadline of the server, its queues included.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);

/// A client with cookies, as one browser has them.
pub struct Client {
    address: SocketAddr,
    cookies: BTreeMap<String, String>,
    headers: HeaderMap,
    wire: wire::Client,
}

impl Client {
    /// A client of the server at `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let (cookies, headers) = (BTreeMap::new(), HeaderMap::new());
        let wire = wire::Client::new(address.into(), ANSWER_LIMIT);
        Self { address, cookies, headers, wire }
    }

    /// With a header in every request.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().expect("a header value"));
        self
    }

    /// From now on asks the server at another address, cookies kept.
    pub fn move_to(&mut self, address: SocketAddr) {
        self.address = address;
        self.wire.move_to(address.into());
    }

    /// The value of a cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// All cookies.
    #[must_use]
    pub fn cookies(&self) -> &BTreeMap<String, String> {
        &self.cookies
    }

    /// Sets a cookie.
    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// Forgets a cookie.
    pub fn forget_cookie(&mut self, name: &str) {
        self.cookies.remove(name);
    }

    /// Ends the connection; the next request opens another one.
    pub fn hang_up(&mut self) {
        self.wire.hang_up();
    }

    /// Opens the connection if there is none.
    ///
    /// # Errors
    /// [`Lost::NotConnected`].
    pub async fn connect(&mut self) -> Result<(), Lost> {
        self.wire.connect().await
    }

    /// Begins a request.
    pub fn request(&mut self, method: Method, path: &str) -> Request<'_> {
        let headers = self.headers.clone();
        let path = path.to_owned();
        Request { client: self, method, path, headers, body: Bytes::new(), cookies: true }
    }

    /// GET.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// POST of JSON.
    pub async fn post_json(&mut self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path).json(body).send().await
    }

    /// POST of a form.
    pub async fn post_form(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.request(Method::POST, path).form(fields).send().await
    }

    async fn exchange(&mut self, request: hyper::Request<Full<Bytes>>) -> Result<Answer, Lost> {
        let answer = self.wire.send(request).await?;
        let answer = Answer::new(answer.status, answer.headers, answer.body);
        for cookie in answer.cookies() {
            if cookie.is_removal() {
                self.cookies.remove(&cookie.name);
            } else {
                // Secure ones too: TLS ends in front of the server.
                self.cookies.insert(cookie.name, cookie.value);
            }
        }
        Ok(answer)
    }
}

/// A request that is being put together.
#[must_use = "it is not sent yet"]
pub struct Request<'c> {
    client: &'c mut Client,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    cookies: bool,
}

impl Request<'_> {
    /// With one more header.
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().try_into().expect("a header value");
        self.headers.append(name, value);
        self
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With a form as body.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        self.body("application/x-www-form-urlencoded", form(fields))
    }

    /// With any body.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        let content_type = content_type.parse().expect("a header value");
        self.headers.insert(CONTENT_TYPE, content_type);
        self.body = body.into();
        self
    }

    /// Without the cookies of the jar.
    pub fn without_cookies(mut self) -> Self {
        self.cookies = false;
        self
    }

    /// Sends it; panics when there is no answer.
    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        self.try_send().await.unwrap_or_else(|lost| panic!("{what}: {lost:?}"))
    }

    /// Sends it.
    ///
    /// # Errors
    /// [`Lost`]; nothing is tried twice.
    pub async fn try_send(self) -> Result<Answer, Lost> {
        let Self { client, method, path, mut headers, body, cookies } = self;
        if !headers.contains_key(HOST) {
            let host = client.address.to_string();
            headers.insert(HOST, host.parse().expect("an address is a header value"));
        }
        if cookies && !client.cookies.is_empty() {
            let pairs: Vec<String> =
                client.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.append(COOKIE, pairs.join("; ").parse().expect("cookies are header values"));
        }
        let what = format!("{method} {path}");
        let mut request = hyper::Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("a path");
        *request.headers_mut() = headers;
        let answer = client.exchange(request).await;
        assert_ne!(
            answer.as_ref().err(),
            Some(&Lost::TooLate),
            "{what}: no answer within {ANSWER_LIMIT:?}"
        );
        answer
    }
}

/// Fields as `application/x-www-form-urlencoded`.
#[must_use]
pub fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)))
        .collect();
    pairs.join("&")
}

/// Text as part of a query or form.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes text");
        }
    }
    encoded
}
