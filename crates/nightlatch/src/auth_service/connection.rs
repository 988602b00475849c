//! Connections to the auth service, each phase within its own limit.
//!
//! Not a library's client: which phase failed, and whether a connection was an old one, decides what a
//! login is told and whether it is tried again, and clients hide both.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use nightlatch_core::{FailureClass, Timestamp};
use nightlatch_store::net::{self, Tls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::failure::Failure;
use crate::config::WebOrigin;

/// The largest answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The largest head of an answer, and the most headers.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;

/// Connections that wait for the next login.
const KEPT_MAX: usize = 16;

/// How long one waits for the next login: below what a NAT or a load balancer remembers, which forgets
/// without a word.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// How long one is used at all: a service that has moved is followed.
const AGE_MAX: Duration = Duration::from_mins(5);

/// Where connections lead, and those that are kept.
pub(super) struct Connections {
    origin: WebOrigin,
    /// `None`: none is spoken. Or why it cannot be.
    tls: Result<Option<Tls>, String>,
    limit: Duration,
    kept: Mutex<Vec<Connection>>,
}

/// One connection, and the task that drives it: it ends with this.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    was_kept: bool,
    made_at: Instant,
    used_at: Instant,
    /// Whether anything has come since the last request.
    heard: Arc<AtomicBool>,
    _driver: JoinSet<()>,
}

/// An answer that came as a whole.
pub(super) struct RawAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Connections {
    pub(super) fn new(origin: WebOrigin, ca_file: Option<&Path>, limit: Duration) -> Self {
        let tls = if origin.is_https() {
            Tls::new(ca_file).map(Some).map_err(|error| format!("AUTH_SERVICE_CA_FILE: {error}"))
        } else {
            Ok(None)
        };
        Self { origin, tls, limit, kept: Mutex::default() }
    }

    pub(super) fn certificate_expiry(&self) -> Option<Timestamp> {
        self.tls.as_ref().ok()?.as_ref()?.certificate_expiry().get()
    }

    /// One that is kept, or a new one.
    pub(super) async fn get(&self, left: Duration) -> Result<Connection, Failure> {
        while let Some(mut kept) = self.take() {
            kept.was_kept = true;
            let is_fresh = kept.used_at.elapsed() < IDLE_MAX && kept.made_at.elapsed() < AGE_MAX;
            if is_fresh && kept.sender.is_ready() {
                return Ok(kept);
            }
        }
        self.fresh(left).await
    }

    pub(super) async fn fresh(&self, left: Duration) -> Result<Connection, Failure> {
        let connected = timeout(self.limit.min(left), self.connect()).await;
        connected.map_err(|_| Failure::connect_timeout())?
    }

    /// Forgets those that are kept: what swallows one swallows the others.
    pub(super) fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Keeps one for the next login.
    pub(super) fn keep(&self, mut connection: Connection) {
        connection.used_at = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX && !connection.sender.is_closed() {
            kept.push(connection);
        }
    }

    fn take(&self) -> Option<Connection> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let tls = self.tls.as_ref().map_err(Failure::unusable_authorities)?;
        let host = self.origin.host().trim_start_matches('[').trim_end_matches(']');
        let tcp = net::connect(host, self.origin.port(), self.limit).await;
        let tcp = tcp.map_err(Failure::unconnected)?;
        match tls {
            None => shake_hands(tcp).await,
            Some(tls) => shake_hands(tls.over(tcp, host).await.map_err(unsafe_connection)?).await,
        }
    }
}

/// Whoever ends the connection in the middle of the handshake speaks no TLS, or not with us.
fn unsafe_connection(class: FailureClass) -> Failure {
    match class {
        FailureClass::Protocol => Failure::unconnected(FailureClass::TlsNotSpoken),
        class => Failure::unconnected(class),
    }
}

async fn shake_hands<S>(stream: S) -> Result<Connection, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let heard = Arc::new(AtomicBool::new(false));
    let watched = TokioIo::new(Watched { stream, heard: Arc::clone(&heard) });
    let (sender, driving) = builder.handshake(watched).await.map_err(|_| Failure::closed())?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // What it ends with is told to whoever sends.
        let _ = driving.await;
    });
    let now = Instant::now();
    let (made_at, used_at) = (now, now);
    Ok(Connection { sender, was_kept: false, made_at, used_at, heard, _driver: driver })
}

impl Connection {
    pub(super) const fn was_kept(&self) -> bool {
        self.was_kept
    }

    /// Whether a request was swallowed: nothing at all has come.
    pub(super) fn was_swallowed(&self) -> bool {
        !self.heard.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for the whole answer.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<RawAnswer, Failure> {
        let exchanged = timeout(limit, self.send(request)).await;
        exchanged.map_err(|_| Failure::read_timeout())?
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<RawAnswer, Failure> {
        self.heard.store(false, Ordering::Relaxed);
        let answer = self.sender.send_request(request).await;
        let answer = answer.map_err(|error| self.unanswered(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Failure::garbage("its answer is larger than 64 KiB")
            } else {
                Failure::cut()
            }
        })?;
        Ok(RawAnswer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    /// Why there is not even the head of an answer.
    fn unanswered(&self, error: &hyper::Error) -> Failure {
        if error.is_parse() || error.is_parse_too_large() {
            // The library's word for it; never what came, which may be anything.
            Failure::garbage(format!("its answer is not HTTP: {error}"))
        } else if self.heard.load(Ordering::Relaxed) {
            Failure::cut()
        } else {
            Failure::closed()
        }
    }
}

/// A stream that notes that something has come: whether an answer had begun decides whether it may be
/// asked for again.
struct Watched<S> {
    stream: S,
    heard: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.heard.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
