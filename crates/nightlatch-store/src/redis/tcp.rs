//! Reaching a host by its name.
//!
//! Apart from the rest, since a name may have several addresses, none, or another one later, and its
//! resolver may be what fails.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nightlatch_core::FailureClass;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::failure::classify_io;

/// How long a resolver may take. It is left alone then, and the thread that waits for it is its own.
const LOOKUP_LIMIT: Duration = Duration::from_secs(1);

/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 8;

/// How long one address may take while there is another.
const ADDRESS_LIMIT: Duration = Duration::from_millis(500);

/// Connects to the first address of a host that takes us; with the address.
pub(super) async fn connect(host: &str, port: u16) -> Result<(TcpStream, IpAddr), FailureClass> {
    let mut addresses = resolve(host, port).await?.into_iter().peekable();
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
pub(super) async fn leads_elsewhere(host: &str, port: u16, peer: IpAddr) -> bool {
    let is_name = host.parse::<IpAddr>().is_err();
    is_name
        && resolve(host, port)
            .await
            .is_ok_and(|found| found.iter().all(|address| address.ip() != peer))
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, FailureClass> {
    let found = timeout(LOOKUP_LIMIT, lookup_host((host, port))).await;
    let found = found.map_err(|_| FailureClass::Dns)?.map_err(|_| FailureClass::Dns)?;
    let found: Vec<_> = found.take(ADDRESSES_MAX).collect();
    if found.is_empty() { Err(FailureClass::Dns) } else { Ok(found) }
}
