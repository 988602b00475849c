//! The accept loop: bounded connections, clients that stall are cut off, a stop loses no request.
//!
//! Written around hyper's connections, because the framework's own loop keeps every stalled client
//! for ever.

mod drain;
mod linger;
mod unread;

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::http::Routes;
use crate::http::client::Peer;
use crate::http::sockets::Upgradable;

pub use drain::{Drain, DrainDriver, Phase};
use linger::Lingering;
use unread::WatchedBody;

/// How long a client may take to send the headers of a request, and to stay idle between two.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// What the parser holds of one request's headers: a layer answers 431 with a problem below it.
const HEADER_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Header lines that the parser takes; beyond it the connection gets a bare status.
const HEADER_LINES_MAX: usize = 200;

/// How long the loop rests after the kernel refused a connection for want of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// What a connection over the limit is told before it is closed.
const OVERLOADED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: application/problem+json\r\ncontent-length: 151\r\n\r\n\
    {\"type\":\"/docs/errors#overloaded\",\"title\":\"Busy\",\"status\":503,\"detail\":\"There are too many connections at this moment. Try again.\",\"code\":\"overloaded\"}";

/// Serves `listener` until the drain closes it. Every connection is one of `tasks`, as this itself has to
/// be, or nobody would wait for those who come last. Each request is served by the routes that are the
/// latest when it comes.
pub async fn serve(
    (listener, routes, drain): (TcpListener, watch::Receiver<Routes>, Drain),
    (tasks, connections_max): (TaskTracker, usize),
) {
    let connections = Arc::new(Semaphore::new(connections_max));
    let admit = |(stream, peer)| match Arc::clone(&connections).try_acquire_owned() {
        Ok(permit) => {
            let upgradable =
                Upgradable { _place: permit, drain: drain.clone(), tasks: tasks.clone() };
            tasks.spawn(connection(stream, peer, routes.clone(), upgradable));
        }
        Err(_) => shed(stream),
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.reached(Phase::Closing) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => admit(accepted),
            // A client that hung up while it waited is no reason to rest; out of descriptors is.
            Err(error) if is_of_one_client(&error) => {}
            Err(_) => tokio::time::sleep(ACCEPT_REST).await,
        }
    }
    let _ = close(listener, connections_max, admit);
}

/// Closes the address after all who have come by then were let in: the kernel resets whoever still waits,
/// and a proxy that has sent a POST there cannot know whether it took effect.
fn close(
    listener: TcpListener,
    most: usize,
    admit: impl Fn((TcpStream, SocketAddr)),
) -> std::io::Result<()> {
    // Past the runtime, which learns of who has come only when it next looks.
    let listener = listener.into_std()?;
    for _ in 0..most {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                admit((TcpStream::from_std(stream)?, peer));
            }
            Err(error) if is_of_one_client(&error) => {}
            // Nobody waits any more.
            Err(_) => break,
        }
    }
    Ok(())
}

fn is_of_one_client(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

/// Answers without a task and without waiting: what does not fit into the socket's buffer is lost.
/// Past the runtime, which would have to hear from the kernel first that a fresh socket can be
/// written, and lets nobody write who has just accepted a burst of others.
fn shed(stream: TcpStream) {
    let _ = stream.into_std().and_then(|mut stream| stream.write_all(OVERLOADED));
}

/// Serves one connection until it ends, or the drain ends it.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    routes: watch::Receiver<Routes>,
    upgradable: Upgradable,
) {
    let upgradable = Arc::new(upgradable);
    // Answers are small and complete: waiting to fill a segment only adds delay.
    let _ = stream.set_nodelay(true);
    let drain = upgradable.drain.clone();
    let service = service_fn(move |request| {
        let routes = routes.borrow().clone();
        answer(request, peer, routes, Arc::clone(&upgradable))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(HEADER_BUFFER_BYTES_MAX)
        .max_headers(HEADER_LINES_MAX)
        .serve_connection(TokioIo::new(Lingering::new(stream)), service)
        .with_upgrades();
    tokio::pin!(served);
    tokio::select! {
        biased;
        _ = &mut served => return,
        () = drain.reached(Phase::ClosingIdle) => {}
    }
    served.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        _ = &mut served => {}
        () = drain.reached(Phase::Over) => {}
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    routes: Routes,
    upgradable: Arc<Upgradable>,
) -> Result<Response<Body>, Infallible> {
    let request = request.map(WatchedBody::new);
    let body_end = request.body().end();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer));
    if request.headers().contains_key(header::UPGRADE) {
        request.extensions_mut().insert(Arc::clone(&upgradable));
    }
    let mut response = routes.oneshot(request).await?;
    if upgradable.drain.is_reached(Phase::Closing) || !body_end.is_reached() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}
