//! A door before a server: counts who comes, and can be shut or slow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, copy_bidirectional};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) struct Relay {
    pub(crate) port: u16,
    attempts: Arc<AtomicUsize>,
    is_shut: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Relay {
    pub(crate) async fn before(server_port: u16) -> Self {
        Self::with_answers_later(server_port, Duration::ZERO).await
    }

    /// Whatever the server says arrives so much later.
    pub(crate) async fn with_answers_later(server_port: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let attempts = Arc::new(AtomicUsize::new(0));
        let is_shut = watch::Sender::new(false);
        let mut accepting = JoinSet::new();
        let server = SocketAddr::from(([127, 0, 0, 1], server_port));
        let door = Door { server, delay, is_shut: is_shut.subscribe() };
        accepting.spawn(accept(listener, attempts.clone(), door));
        Self { port, attempts, is_shut, _accepting: accepting }
    }

    /// The URL of the server behind it, through it.
    pub(crate) fn through(&self, url: &str, server_port: u16) -> String {
        url.replace(&format!(":{server_port}/"), &format!(":{}/", self.port))
    }

    /// How often somebody came.
    pub(crate) fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }

    /// Cuts who is inside, and takes in nobody.
    pub(crate) fn shut(&self) {
        self.is_shut.send_replace(true);
    }

    pub(crate) fn open(&self) {
        self.is_shut.send_replace(false);
    }
}

#[derive(Clone)]
struct Door {
    server: SocketAddr,
    delay: Duration,
    is_shut: watch::Receiver<bool>,
}

async fn accept(listener: TcpListener, attempts: Arc<AtomicUsize>, door: Door) {
    let mut relayed = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("listening goes on");
        attempts.fetch_add(1, Ordering::SeqCst);
        if *door.is_shut.borrow() {
            continue;
        }
        let mut is_shut = door.is_shut.clone();
        let passing = pass(client, door.server, door.delay);
        relayed.spawn(async move {
            tokio::select! {
                biased;
                _ = is_shut.wait_for(|shut| *shut) => {}
                () = passing => {}
            }
        });
        while relayed.try_join_next().is_some() {}
    }
}

/// Either side may end it at any moment.
async fn pass(mut client: TcpStream, server: SocketAddr, delay: Duration) {
    let Ok(mut behind) = TcpStream::connect(server).await else { return };
    if delay.is_zero() {
        let _ = copy_bidirectional(&mut client, &mut behind).await;
        return;
    }
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = behind.into_split();
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        () = copy_later(from_server, to_client, delay) => {}
    }
}

async fn copy_later(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let mut heard = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut heard).await {
        tokio::time::sleep(delay).await;
        if count == 0 || to.write_all(&heard[..count]).await.is_err() {
            return;
        }
    }
}
