//! Addresses that the server listens on: taken at once, open when somebody can be served.
//!
//! An address that cannot be had is a mistake to be told at the start. But a server that accepts before
//! it can serve answers 503 to what another one behind the same proxy would have served. While the
//! address is bound and nobody listens there, the kernel refuses connections, and every proxy turns to
//! the next server by itself, whatever the request is: nothing of it has been sent.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::Routes;
use crate::http::server::{self, Drain};

/// How long the record may leave a start without an answer before the server listens all the same, and
/// says that it is not ready.
const CLOSED_MAX: Duration = Duration::from_secs(10);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// An address that is ours.
pub(crate) struct Bound {
    setting: &'static str,
    socket: TcpSocket,
    address: SocketAddr,
}

impl Bound {
    /// Takes the address that a setting names.
    ///
    /// # Errors
    /// It cannot be had.
    pub(crate) fn take(setting: &'static str, wanted: SocketAddr) -> anyhow::Result<Self> {
        let bound = || {
            let socket = if wanted.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // Connections of the server before this one may linger in the kernel.
            socket.set_reuseaddr(true)?;
            socket.bind(wanted)?;
            let address = socket.local_addr()?;
            Ok::<_, std::io::Error>((socket, address))
        };
        let (socket, address) = bound().with_context(|| refused(setting, wanted))?;
        Ok(Self { setting, socket, address })
    }

    /// The same for an address that need not be set.
    ///
    /// # Errors
    /// It cannot be had.
    pub(crate) fn take_if_set(
        setting: &'static str,
        wanted: Option<SocketAddr>,
    ) -> anyhow::Result<Option<Self>> {
        wanted.map(|wanted| Self::take(setting, wanted)).transpose()
    }

    /// The address; where the system chose the port, which.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens from now on.
    fn open(self) -> anyhow::Result<TcpListener> {
        let Self { setting, socket, address } = self;
        socket.listen(BACKLOG).with_context(|| refused(setting, address))
    }

    /// Listens as soon as `tried` says that the record can be used, or cannot.
    async fn open_after(self, tried: &CancellationToken) -> anyhow::Result<TcpListener> {
        let _ = timeout(CLOSED_MAX, tried.cancelled()).await;
        self.open()
    }
}

/// What an address is served with.
pub(crate) struct Accepting {
    /// What is served; each request by the latest.
    pub(crate) routes: watch::Receiver<Routes>,
    /// When it ends.
    pub(crate) drain: Drain,
    /// Who is waited for then.
    pub(crate) connections: TaskTracker,
    /// How many at once.
    pub(crate) connections_max: usize,
}

impl Accepting {
    /// Serves metrics from now on.
    ///
    /// # Errors
    /// Somebody else was faster.
    pub(crate) fn metrics(self, bound: Bound) -> anyhow::Result<()> {
        let address = format!("http://{}/metrics", bound.address());
        self.begin(bound.open()?);
        tracing::info!(event = "metrics.listening", address);
        Ok(())
    }

    /// Serves people as soon as `tried` says that the record can be used, or cannot.
    ///
    /// # Errors
    /// Somebody else was faster.
    pub(crate) async fn people_after(
        self,
        tried: &CancellationToken,
        bound: Bound,
    ) -> anyhow::Result<()> {
        let address = format!("http://{}", bound.address());
        self.begin(bound.open_after(tried).await?);
        tracing::info!(event = "server.listening", address);
        Ok(())
    }

    fn begin(self, listener: TcpListener) {
        let Self { routes, drain, connections, connections_max } = self;
        let limited = (connections.clone(), connections_max);
        connections.spawn(server::serve((listener, routes, drain), limited));
    }
}

fn refused(setting: &str, address: SocketAddr) -> String {
    format!("{setting}: cannot listen on {address}")
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn any() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[tokio::test]
    async fn an_address_is_ours_before_anybody_can_connect() {
        let bound = Bound::take("NIGHTLATCH_LISTEN", any()).unwrap();
        let address = bound.address();
        assert!(TcpStream::connect(address).is_err());
        let listener = bound.open().unwrap();
        assert!(TcpStream::connect(address).is_ok());
        let error = Bound::take("NIGHTLATCH_LISTEN", address).err().expect("somebody listens");
        assert_eq!(error.to_string(), format!("NIGHTLATCH_LISTEN: cannot listen on {address}"));
        drop(listener);
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_never_answers_does_not_keep_it_closed() {
        let bound = Bound::take("NIGHTLATCH_LISTEN", any()).unwrap();
        let never = CancellationToken::new();
        bound.open_after(&never).await.unwrap();
    }
}
