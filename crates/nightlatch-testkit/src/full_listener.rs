//! A listener that takes nobody: whoever connects from now on hears nothing, as behind a firewall that drops
//! what is sent.
//!
//! No program answers so; the kernel does, once the queue of those who wait to be accepted is full.

use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How long a connection may take that is taken.
const TAKEN_WITHIN: Duration = Duration::from_millis(500);

/// The most that a queue of one takes on any kernel.
const WAITING_MAX: usize = 100;

/// The listener, and those who fill its queue.
pub struct FullListener {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl FullListener {
    /// Starts one on a free port of 127.0.0.1 and fills it.
    pub async fn start() -> Self {
        let socket = TcpSocket::new_v4().expect("there is room for a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let listener = socket.listen(1).expect("it listens");
        let address = listener.local_addr().expect("it is bound");
        let mut waiting = Vec::new();
        // Until one is not taken any more.
        loop {
            let connecting = TcpStream::connect(address);
            match tokio::time::timeout(TAKEN_WITHIN, connecting).await {
                Ok(connected) => waiting.push(connected.expect("it is taken into the queue")),
                Err(_) => return Self { listener, _waiting: waiting },
            }
            assert!(waiting.len() < WAITING_MAX, "the queue never fills");
        }
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("it is bound").port()
    }
}
