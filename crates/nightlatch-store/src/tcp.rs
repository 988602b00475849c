//! Reaching a host by its name.
//!
//! Apart from the rest, since a name may have several addresses, none, or another one later, and its
//! resolver may be what fails.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use nightlatch_core::FailureClass;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::tls;

/// How long a resolver may take. It is left alone then, and the thread that waits for it is its own.
const LOOKUP_LIMIT: Duration = Duration::from_secs(1);

/// How many look-ups may be under way. Those that are left alone keep their threads until the resolver
/// gives up, half a minute perhaps.
pub(crate) const LOOKUPS_MAX: usize = 16;

static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS_MAX);

/// By whom names are resolved, and how long that may take.
#[derive(Clone, Copy)]
pub(crate) struct Resolving {
    /// Of its own for each dependency: a resolver that hangs over one name must not keep the others waiting.
    pub(crate) places: &'static Semaphore,
    pub(crate) limit: Duration,
}

const USUAL: Resolving = Resolving { places: &LOOKUPS, limit: LOOKUP_LIMIT };

/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 8;

/// How long one address may take while there is another.
const ADDRESS_LIMIT: Duration = Duration::from_millis(500);

/// Connects to the first address of a host that takes us; with the address.
pub(crate) async fn connect(host: &str, port: u16) -> Result<(TcpStream, IpAddr), FailureClass> {
    connect_by(host, port, USUAL).await
}

/// The same with names resolved otherwise.
pub(crate) async fn connect_by(
    host: &str,
    port: u16,
    by: Resolving,
) -> Result<(TcpStream, IpAddr), FailureClass> {
    let mut addresses = resolve(host, port, by).await?.into_iter().peekable();
    let mut failure = FailureClass::Dns;
    while let Some(address) = addresses.next() {
        let connecting = TcpStream::connect(address);
        let connected = match addresses.peek() {
            Some(_) => timeout(ADDRESS_LIMIT, connecting).await,
            // The caller ends what takes too long.
            None => Ok(connecting.await),
        };
        match connected {
            Ok(Ok(stream)) => {
                // Without it a small command may wait for the answer to the one before.
                let _ = stream.set_nodelay(true);
                return Ok((stream, address.ip()));
            }
            Ok(Err(error)) => failure = classify_io(&error),
            Err(_) => failure = FailureClass::Timeout,
        }
    }
    Err(failure)
}

/// Whether the name of a host leads elsewhere than to an address by now, as far as that is said.
pub(crate) async fn leads_elsewhere(host: &str, port: u16, peer: IpAddr) -> bool {
    let is_name = host.parse::<IpAddr>().is_err();
    is_name
        && resolve(host, port, USUAL)
            .await
            .is_ok_and(|found| found.iter().all(|address| address.ip() != peer))
}

/// The class of what a socket, or TLS over it, ended with.
pub(crate) fn classify_io(error: &io::Error) -> FailureClass {
    if let Some(refusal) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls::classify(refusal);
    }
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => FailureClass::Timeout,
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => FailureClass::Unreachable,
        io::ErrorKind::InvalidData => FailureClass::Protocol,
        _ => FailureClass::Closed,
    }
}

async fn resolve(host: &str, port: u16, by: Resolving) -> Result<Vec<SocketAddr>, FailureClass> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = timeout(by.limit, look_up(host.to_owned(), port, by.places)).await;
    let found = found.map_err(|_| FailureClass::Dns)?.map_err(|_| FailureClass::Dns)?;
    if found.is_empty() { Err(FailureClass::Dns) } else { Ok(found) }
}

#[expect(clippy::disallowed_methods, reason = "there are only so many places")]
async fn look_up(
    host: String,
    port: u16,
    places: &'static Semaphore,
) -> io::Result<Vec<SocketAddr>> {
    let place = places.acquire().await.map_err(io::Error::other)?;
    let looking = spawn_blocking(move || {
        // It holds its place for as long as the thread is busy with it.
        let _place = place;
        Ok((host.as_str(), port).to_socket_addrs()?.take(ADDRESSES_MAX).collect())
    });
    looking.await?
}
