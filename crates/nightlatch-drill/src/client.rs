//! A small HTTP/1.1 client: one connection, and everything it was told.
//!
//! Libraries for production hide what a drill is about: they retry, follow redirects and reconnect. This
//! one sends what it is told and shows what comes back; an answer that is lost is lost.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::SET_COOKIE;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use nightlatch_store::net::{self, Tls};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a connection may take, where the name and TLS are part of it.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// The largest answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Which server is asked.
#[derive(Clone)]
pub struct Server {
    /// A name, or an address without brackets.
    host: String,
    port: u16,
    tls: Option<Tls>,
    /// What stands in the header `Host`.
    authority: String,
}

/// Speaks to one server.
pub struct Client {
    server: Server,
    limit: Duration,
    connection: Option<Connection>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Drives the connection; ends with it.
    _task: JoinSet<()>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// There is no connection: the server does not know of the request.
    NotConnected,
    /// A connection that had not carried a request yet ended without an answer.
    UnansweredOnNewConnection(String),
    /// A connection that had carried requests before ended without an answer.
    UnansweredOnKeptConnection(String),
    /// There was no whole answer in time.
    TooLate,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Server {
    /// A server that is reached by its name, over TLS if any is given.
    #[must_use]
    pub fn new(host: &str, port: u16, authority: &str, tls: Option<Tls>) -> Self {
        Self { host: host.to_owned(), port, tls, authority: authority.to_owned() }
    }

    /// What stands in the header `Host`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl From<SocketAddr> for Server {
    fn from(address: SocketAddr) -> Self {
        Self::new(&address.ip().to_string(), address.port(), &address.to_string(), None)
    }
}

impl Client {
    /// A client of a server, whose answers may take so long.
    #[must_use]
    pub const fn new(server: Server, limit: Duration) -> Self {
        Self { server, limit, connection: None }
    }

    /// From now on asks another server.
    pub fn move_to(&mut self, server: Server) {
        self.server = server;
        self.connection = None;
    }

    /// Which server is asked.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Ends the connection; the next request opens another one.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Opens the connection if there is none.
    ///
    /// # Errors
    /// [`Lost::NotConnected`].
    pub async fn connect(&mut self) -> Result<(), Lost> {
        self.sender().await.map(|_| ())
    }

    /// Sends a request; nothing is tried twice.
    ///
    /// # Errors
    /// There is no whole answer.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        let answered = timeout(self.limit, self.exchange(request)).await;
        answered.unwrap_or_else(|_| {
            // What comes on it now would be taken for the answer to the next request.
            self.connection = None;
            Err(Lost::TooLate)
        })
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        let (connection, mut kept) = self.sender().await?;
        let mut sent = connection.sender.try_send_request(request).await;
        if let Err(error) = &mut sent
            && let Some(request) = error.take_message()
        {
            // It was not sent at all: the kept connection had just ended.
            self.connection = None;
            let (connection, _) = self.sender().await?;
            kept = false;
            sent = connection.sender.try_send_request(request).await;
        }
        let lost = |error: &dyn fmt::Display| {
            let reason = error.to_string();
            if kept {
                Lost::UnansweredOnKeptConnection(reason)
            } else {
                Lost::UnansweredOnNewConnection(reason)
            }
        };
        let response = sent.map_err(|error| lost(error.error()))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| lost(&error))?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// The connection, and whether it has carried requests before.
    async fn sender(&mut self) -> Result<(&mut Connection, bool), Lost> {
        let kept = match self.connection.take() {
            Some(mut kept) => kept.sender.ready().await.is_ok().then_some(kept),
            None => None,
        };
        let is_kept = kept.is_some();
        let connection = match kept {
            Some(kept) => kept,
            None => Connection::open(&self.server).await?,
        };
        Ok((self.connection.insert(connection), is_kept))
    }
}

impl Connection {
    async fn open(server: &Server) -> Result<Self, Lost> {
        let Some(tls) = &server.tls else {
            let stream = TcpStream::connect((server.host.as_str(), server.port)).await;
            let stream = stream.map_err(|_| Lost::NotConnected)?;
            let _ = stream.set_nodelay(true);
            return Self::over(stream).await;
        };
        let connecting = async {
            let stream = net::connect(&server.host, server.port, CONNECT_LIMIT).await?;
            tls.over(stream, &server.host).await
        };
        match timeout(CONNECT_LIMIT, connecting).await {
            Ok(Ok(stream)) => Self::over(stream).await,
            Ok(Err(_)) | Err(_) => Err(Lost::NotConnected),
        }
    }

    async fn over<S>(stream: S) -> Result<Self, Lost>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|_| Lost::NotConnected)?;
        let mut task = JoinSet::new();
        task.spawn(async move { drop(connection.await) });
        Ok(Self { sender, _task: task })
    }
}

impl Answer {
    /// The body as JSON; `null` where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The member `code` of a problem's body; empty when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// `name=value` of a cookie that it sets, if it sets one of these.
    #[must_use]
    pub fn cookie(&self, names: &[&str]) -> Option<String> {
        let lines = self.headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.map(|line| line.split(';').next().unwrap_or(line).trim());
        let is_wanted =
            |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| names.contains(&name));
        let mut wanted = pairs.filter(is_wanted);
        wanted.next().map(str::to_owned)
    }
}
