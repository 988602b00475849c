//! One request at a time to a server, each over a connection of its own.
//!
//! Nothing is followed, kept or repeated: what the server said is what is judged.

use std::time::Duration;

use axum::body::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nightlatch_core::{FailureClass, Secret};
use nightlatch_store::net::{self, Tls};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::config::WebOrigin;

/// How long a connection, and an answer, may take. A login waits up to 5 s for a thread to hash on.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The largest answer.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// A connection, in the clear or over TLS.
pub(super) type Connection = Box<dyn Stream>;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Speaks to one server.
pub(super) struct Client {
    origin: WebOrigin,
    tls: Option<Tls>,
}

/// By what a request shows who it is from.
pub(super) enum Shows<'a> {
    Nothing,
    Cookie(&'a Login),
    Bearer(&'a Secret<String>),
}

/// A session by cookie.
pub(super) struct Login {
    pub(super) id: String,
    pub(super) csrf_token: Secret<String>,
    /// `name=value`.
    pub(super) cookie: Secret<String>,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `null` where it is no JSON.
    pub(super) body: Value,
    /// `name=value`, of cookies that are set.
    pub(super) cookies: Vec<Secret<String>>,
    pub(super) took: Duration,
}

impl Answer {
    /// The status, and the code of an error.
    pub(super) fn said(&self) -> String {
        let is_code = |code: &&str| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        match self.body["code"].as_str().filter(is_code) {
            Some(code) => format!("{} {code}", self.status.as_u16()),
            None => self.status.as_u16().to_string(),
        }
    }
}

impl Client {
    pub(super) fn new(origin: &WebOrigin) -> Result<Self, String> {
        let tls = if origin.is_https() {
            Some(Tls::new(None).map_err(|error| format!("TLS cannot be spoken here: {error}"))?)
        } else {
            None
        };
        Ok(Self { origin: origin.clone(), tls })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, FailureClass> {
        self.send(Method::GET, path, &Shows::Nothing, None).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        shows: &Shows<'_>,
        body: Option<Value>,
    ) -> Result<Answer, FailureClass> {
        let request = self.request(method, path, shows, body)?;
        let began = Instant::now();
        let connection = self.connect().await?;
        let answer = timeout(ANSWER_LIMIT, exchange(connection, request)).await;
        let answer = answer.map_err(|_| FailureClass::Timeout)??;
        Ok(Answer { took: began.elapsed(), ..answer })
    }

    /// A connection, over TLS where that is spoken.
    pub(super) async fn connect(&self) -> Result<Connection, FailureClass> {
        let host = self.origin.host().trim_start_matches('[').trim_end_matches(']');
        let connecting = async {
            let tcp = net::connect(host, self.origin.port(), CONNECT_LIMIT).await?;
            match &self.tls {
                None => Ok(Box::new(tcp) as Connection),
                Some(tls) => Ok(Box::new(tls.over(tcp, host).await?) as Connection),
            }
        };
        timeout(CONNECT_LIMIT, connecting).await.unwrap_or(Err(FailureClass::Timeout))
    }

    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", self.origin.host(), self.origin.port())
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        shows: &Shows<'_>,
        body: Option<Value>,
    ) -> Result<Request<Full<Bytes>>, FailureClass> {
        let host = self.host_and_port();
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        match shows {
            Shows::Nothing => {}
            Shows::Cookie(login) => {
                request = request.header(COOKIE, login.cookie.expose());
                request = request.header("X-CSRF-Token", login.csrf_token.expose());
            }
            Shows::Bearer(token) => {
                request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose()));
            }
        }
        let body = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        // What the server gave us is no header: then it is no Nightlatch.
        request.body(Full::new(body)).map_err(|_| FailureClass::Protocol)
    }
}

async fn exchange(
    connection: Connection,
    request: Request<Full<Bytes>>,
) -> Result<Answer, FailureClass> {
    let shaken = http1::handshake(TokioIo::new(connection)).await;
    let (mut sender, driving) = shaken.map_err(|_| FailureClass::Closed)?;
    // Ends with this exchange.
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        let _ = driving.await;
    });
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|error| {
        if error.is_parse() { FailureClass::Protocol } else { FailureClass::Closed }
    })?;
    let (head, body) = answer.into_parts();
    let set = head.headers.get_all(SET_COOKIE).iter();
    let cookies = set.filter_map(|cookie| {
        let text = cookie.to_str().ok()?;
        let pair = text.split(';').next().unwrap_or(text).trim();
        Some(Secret::new(pair.to_owned()))
    });
    let cookies = cookies.collect();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|_| FailureClass::Protocol)?.to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Answer { status: head.status, body, cookies, took: Duration::ZERO })
}
