//! Connections to services beneath that speak HTTP, each phase within its own limit.
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
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use nightlatch_core::{FailureClass, Timestamp};
use nightlatch_store::net::{self, Tls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::config::WebOrigin;

/// The largest answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The largest head of an answer, and the most headers.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;

/// Connections that wait for the next request.
const KEPT_MAX: usize = 16;

/// How long one waits for it: below what a NAT or a load balancer remembers, which forgets
/// without a word.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// How long one is used at all: a service that has moved is followed.
const AGE_MAX: Duration = Duration::from_mins(5);

/// The longest that a service may have us wait.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// There is no connection.
    Unconnected(FailureClass),
    /// There was none in time.
    ConnectTimeout,
    /// There was no whole answer in time.
    ReadTimeout,
    /// The connection ended before an answer began.
    Closed,
    /// It ended in the middle of one.
    Cut,
    /// What came is not HTTP, or too much; in words.
    Garbage(String),
    /// Whom to believe cannot be read; in words.
    UnusableAuthorities(String),
}

/// Where connections lead, and those that are kept.
pub(crate) struct Connections {
    origin: WebOrigin,
    /// `None`: none is spoken. Or why it cannot be.
    tls: Result<Option<Tls>, String>,
    limit: Duration,
    kept: Mutex<Vec<Connection>>,
}

/// One connection, and the task that drives it: it ends with this.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    was_kept: bool,
    made_at: Instant,
    used_at: Instant,
    /// Whether anything has come since the last request.
    heard: Arc<AtomicBool>,
    _driver: JoinSet<()>,
}

/// An answer that came as a whole.
pub(crate) struct RawAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Unanswered {
    /// What it is called.
    pub(crate) const fn class(&self) -> FailureClass {
        match self {
            Self::Unconnected(class) => *class,
            Self::ConnectTimeout | Self::ReadTimeout => FailureClass::Timeout,
            Self::Closed | Self::Cut => FailureClass::Closed,
            Self::Garbage(_) => FailureClass::Protocol,
            Self::UnusableAuthorities(_) => FailureClass::TlsUntrusted,
        }
    }
}

impl RawAnswer {
    /// When it says that it may be asked again, in seconds (RFC 9110, 10.2.3). A date would need its clock
    /// to be ours.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
    }
}

impl Connections {
    pub(crate) fn new(origin: WebOrigin, ca_file: Option<&Path>, limit: Duration) -> Self {
        let tls = if origin.is_https() {
            Tls::new(ca_file).map(Some).map_err(|error| error.to_string())
        } else {
            Ok(None)
        };
        Self { origin, tls, limit, kept: Mutex::default() }
    }

    pub(crate) fn certificate_expiry(&self) -> Option<Timestamp> {
        self.tls.as_ref().ok()?.as_ref()?.certificate_expiry().get()
    }

    /// One that is kept, or a new one.
    pub(crate) async fn get(&self, left: Duration) -> Result<Connection, Unanswered> {
        while let Some(mut kept) = self.take() {
            kept.was_kept = true;
            let is_fresh = kept.used_at.elapsed() < IDLE_MAX && kept.made_at.elapsed() < AGE_MAX;
            if is_fresh && kept.sender.is_ready() {
                return Ok(kept);
            }
        }
        self.fresh(left).await
    }

    pub(crate) async fn fresh(&self, left: Duration) -> Result<Connection, Unanswered> {
        let connected = timeout(self.limit.min(left), self.connect()).await;
        connected.map_err(|_| Unanswered::ConnectTimeout)?
    }

    /// Forgets those that are kept: what swallows one swallows the others.
    pub(crate) fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Keeps one for the next request.
    pub(crate) fn keep(&self, mut connection: Connection) {
        connection.used_at = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX && !connection.sender.is_closed() {
            kept.push(connection);
        }
    }

    fn take(&self) -> Option<Connection> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn connect(&self) -> Result<Connection, Unanswered> {
        let tls =
            self.tls.as_ref().map_err(|error| Unanswered::UnusableAuthorities(error.clone()))?;
        let host = self.origin.host().trim_start_matches('[').trim_end_matches(']');
        let tcp = net::connect(host, self.origin.port(), self.limit).await;
        let tcp = tcp.map_err(Unanswered::Unconnected)?;
        match tls {
            None => shake_hands(tcp).await,
            Some(tls) => shake_hands(tls.over(tcp, host).await.map_err(unsafe_connection)?).await,
        }
    }
}

/// Whoever ends the connection in the middle of the handshake speaks no TLS, or not with us.
fn unsafe_connection(class: FailureClass) -> Unanswered {
    match class {
        FailureClass::Protocol => Unanswered::Unconnected(FailureClass::TlsNotSpoken),
        class => Unanswered::Unconnected(class),
    }
}

async fn shake_hands<S>(stream: S) -> Result<Connection, Unanswered>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let heard = Arc::new(AtomicBool::new(false));
    let watched = TokioIo::new(Watched { stream, heard: Arc::clone(&heard) });
    let (sender, driving) = builder.handshake(watched).await.map_err(|_| Unanswered::Closed)?;
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
    pub(crate) const fn was_kept(&self) -> bool {
        self.was_kept
    }

    /// Whether a request was swallowed: nothing at all has come.
    pub(crate) fn was_swallowed(&self) -> bool {
        !self.heard.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<RawAnswer, Unanswered> {
        let exchanged = timeout(limit, self.send(request)).await;
        exchanged.map_err(|_| Unanswered::ReadTimeout)?
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<RawAnswer, Unanswered> {
        self.heard.store(false, Ordering::Relaxed);
        let answer = self.sender.send_request(request).await;
        let answer = answer.map_err(|error| self.unanswered(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Unanswered::Garbage("its answer is larger than 64 KiB".to_owned())
            } else {
                Unanswered::Cut
            }
        })?;
        Ok(RawAnswer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    /// Why there is not even the head of an answer.
    fn unanswered(&self, error: &hyper::Error) -> Unanswered {
        if error.is_parse() || error.is_parse_too_large() {
            // The library's word for it; never what came, which may be anything.
            Unanswered::Garbage(format!("its answer is not HTTP: {error}"))
        } else if self.heard.load(Ordering::Relaxed) {
            Unanswered::Cut
        } else {
            Unanswered::Closed
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
