//! A TCP proxy that does to connections what networks and broken servers do.
//!
//! A fault that a real server shows is shown by the server. What is left are the faults of the way
//! there, and answers that no healthy server gives. The proxy keeps its port for its whole life, also
//! while it refuses, so that "away" and "back again" need no luck with ports.

mod connection;
mod statements;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::until::until;

/// Connections that the kernel may hold before they are accepted.
const BACKLOG: u32 = 1024;

/// How long a fault may take to be in force: closing sockets is this machine's work alone.
const IN_FORCE_LIMIT: Duration = Duration::from_secs(10);

/// Before another connection is accepted when one could not be: this process has no room for it.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// What is done to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: what comes goes on.
    None,
    /// New connections are refused; live ones are reset.
    Refuse,
    /// New connections are accepted and reset at once; live ones are reset.
    Reset,
    /// Nothing gets through and nothing closes. What was sent meanwhile arrives when it ends.
    Silent,
    /// The same for connections made from now on.
    SilentNew,
    /// The same for connections that were there before, as behind a NAT that has forgotten them.
    SilentLive,
    /// The same for connections that have ever sent a statement with this in it.
    SilentAfter(&'static str),
    /// Everything arrives later.
    Late {
        /// On its way to the server.
        there: Duration,
        /// On its way back.
        back: Duration,
    },
    /// Every answer arrives later, each by another span of up to so long.
    Jitter(Duration),
    /// Everything arrives a byte at a time, with this between two.
    Trickle(Duration),
    /// Of the next answer so many bytes arrive; then the connection is reset.
    CutAfter(usize),
    /// Something else arrives instead of each answer.
    Garbage,
    /// This arrives instead of each answer.
    Says(&'static str),
    /// This arrives before each answer.
    SaysFirst(&'static str),
    /// Of what passes, either way, the first text is the second one, which is as long: a server of another
    /// version, or a pool that puts other words in.
    Replaces(&'static str, &'static str),
    /// The client is told that nothing more will come, and may still send.
    HalfClose,
}

/// Why there is no proxy, or not the fault that it was to show.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// Its address is not to be had.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// Sockets are still as they were.
    #[error("the proxy at {0} did not come to show {1:?}")]
    NotInForce(SocketAddr, Fault),
}

/// A server, by its name or address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Place {
    /// A server of this machine.
    #[must_use]
    pub fn here(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port }
    }
}

/// The proxy. Dropped, it is gone, and its connections with it.
pub struct FaultProxy {
    address: SocketAddr,
    control: watch::Sender<Control>,
    shared: Arc<Shared>,
    /// Bound and never listening: nobody else gets the port while nobody listens on it.
    _keeps_port: TcpSocket,
    _serving: JoinSet<()>,
}

/// What all connections watch.
#[derive(Clone, Copy, Debug)]
struct Control {
    fault: Fault,
    /// Connections from this number on were made under the fault.
    first_new: u64,
    /// How often everything was cut.
    cuts: u64,
}

struct Shared {
    target: Mutex<Place>,
    /// How many connections were accepted.
    accepted: AtomicU64,
    live: AtomicUsize,
    listening: AtomicUsize,
    losing: Mutex<Losing>,
}

/// Answers that are to be lost.
#[derive(Clone, Copy, Debug, Default)]
struct Losing {
    statement: &'static str,
    left: usize,
    lost: usize,
}

impl FaultProxy {
    /// Starts it in front of a server, without a fault. Port 0 lets the system choose.
    ///
    /// # Errors
    /// The address is taken, or none of this machine.
    pub async fn start(listen: SocketAddr, target: Place) -> Result<Self, ProxyError> {
        let refused = |error| ProxyError::Listen(listen, error);
        let keeps_port = reusable_socket(listen).map_err(refused)?;
        let address = keeps_port.local_addr().map_err(refused)?;
        // Said at once, where a listener alone would find it out.
        drop(self::listen(address).map_err(refused)?);
        let (control, watched) =
            watch::channel(Control { fault: Fault::None, first_new: 0, cuts: 0 });
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            accepted: AtomicU64::new(0),
            live: AtomicUsize::new(0),
            listening: AtomicUsize::new(0),
            losing: Mutex::default(),
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(address, watched, Arc::clone(&shared)));
        let proxy = Self { address, control, shared, _keeps_port: keeps_port, _serving: serving };
        proxy.set(Fault::None).await?;
        Ok(proxy)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on this fault lasts; returns when it is in force.
    ///
    /// # Errors
    /// It is not in force after some time.
    pub async fn set(&self, fault: Fault) -> Result<(), ProxyError> {
        let first_new = self.accepted();
        self.control.send_modify(|control| {
            (control.fault, control.first_new) = (fault, first_new);
        });
        let listening = usize::from(fault != Fault::Refuse);
        let cuts = matches!(fault, Fault::Refuse | Fault::Reset);
        let in_force = until(IN_FORCE_LIMIT, async || {
            self.shared.listening.load(Ordering::SeqCst) == listening && !(cuts && self.live() > 0)
        });
        in_force.await.map_err(|_| ProxyError::NotInForce(self.address, fault))
    }

    /// New connections lead to another server; live ones are as they were.
    pub fn lead_to(&self, target: Place) {
        *self.shared.lock_target() = target;
    }

    /// Resets every connection, once.
    pub fn cut(&self) {
        self.control.send_modify(|control| control.cuts += 1);
    }

    /// Loses the answer to the next statements that have `statement` in them, so many times: the
    /// server has done it, and the connection is reset when it says so.
    pub fn lose_answers_to(&self, statement: &'static str, times: usize) {
        *self.shared.lock_losing() = Losing { statement, left: times, lost: 0 };
    }

    /// How many answers were lost since [`Self::lose_answers_to`].
    #[must_use]
    pub fn answers_lost(&self) -> usize {
        self.shared.lock_losing().lost
    }

    /// How many connections were accepted since it started.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections there are now.
    #[must_use]
    pub fn live(&self) -> usize {
        self.shared.live.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn lock_target(&self) -> MutexGuard<'_, Place> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_losing(&self) -> MutexGuard<'_, Losing> {
        self.losing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections, but while it refuses has no socket that could.
async fn serve(address: SocketAddr, mut control: watch::Receiver<Control>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let watched = control.clone();
    // Ends with the proxy, which drops this task.
    while control.wait_for(|control| control.fault != Fault::Refuse).await.is_ok() {
        // Whoever waits for the end of a refusal is told that it has not come.
        let Ok(listener) = listen(address) else { return };
        shared.listening.store(1, Ordering::SeqCst);
        loop {
            let accepted = tokio::select! {
                biased;
                _ = control.wait_for(|control| control.fault == Fault::Refuse) => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let Ok((client, _)) = accepted else {
                sleep(ACCEPT_AGAIN_AFTER).await;
                continue;
            };
            let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
            shared.live.fetch_add(1, Ordering::SeqCst);
            let (watched, shared) = (watched.clone(), Arc::clone(&shared));
            connections.spawn(connection::run(client, number, watched, shared));
        }
        drop(listener);
        shared.listening.store(0, Ordering::SeqCst);
    }
}

/// Two sockets hold the port: this flag on both lets them. Not `SO_REUSEADDR`, with which anybody
/// could have the port while nobody listens on it.
fn reusable_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    reusable_socket(address)?.listen(BACKLOG)
}

#[cfg(test)]
mod tests;
