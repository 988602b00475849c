//! Senders that stall: cut off after the time-out, while others are served.

use std::net::SocketAddr;
use std::time::Duration;

use nightlatch_testkit::server::NightlatchServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use crate::record::launch;

/// The time-out of the contract for headers and for bodies.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a busy machine may add to it.
const LATE_MAX: Duration = Duration::from_secs(10);

/// A stalling sender: what it sends at once, and what it then drips.
type Sender = (&'static str, &'static [u8], Option<u8>);

const SENDERS: [Sender; 6] = [
    ("says nothing", b"", None),
    ("stops in the request line", b"GET /heal", None),
    ("stops in the headers", b"GET /health HTTP/1.1\r\nhost: a\r\n", None),
    ("drips a header", b"GET /health HTTP/1.1\r\nhost: a\r\nx-drip: ", Some(b'a')),
    (
        "stops in the body",
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
          content-length: 100\r\n\r\n{",
        None,
    ),
    (
        "drips a body",
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
          content-length: 1000\r\n\r\n{",
        Some(b' '),
    ),
];

#[tokio::test]
async fn slow_senders_are_cut_off_while_others_are_served() {
    let server = launch().ready().await;
    let mut senders = JoinSet::new();
    for sender in SENDERS {
        for _ in 0..20 {
            let address = server.address();
            senders.spawn(async move { (sender.0, stall(address, sender).await) });
        }
    }
    let others = async {
        let mut ends = Vec::new();
        let mut tick = interval(Duration::from_millis(100));
        let mut worst = Duration::ZERO;
        while !senders.is_empty() {
            tokio::select! {
                biased;
                Some(end) = senders.join_next() => ends.push(end.expect("a sender's end")),
                _ = tick.tick() => worst = worst.max(time_to_serve(&server).await),
            }
        }
        (ends, worst)
    };
    let limit = TIMEOUT + LATE_MAX;
    let (ends, worst) = timeout(limit, others).await.expect("every slow sender is cut off");
    assert!(worst < Duration::from_secs(2), "others waited {worst:?}");
    for (name, lived) in ends {
        assert!(lived > TIMEOUT / 2, "one that {name} got only {lived:?}");
    }
}

/// How long a new connection and an answer on it take.
async fn time_to_serve(server: &NightlatchServer) -> Duration {
    let start = Instant::now();
    assert_eq!(server.client().get("/api/v1/session").await.status, 401);
    start.elapsed()
}

/// Sends as it is told until the server closes the connection; how long that took.
async fn stall(address: SocketAddr, (_, at_once, drip): Sender) -> Duration {
    let start = Instant::now();
    let mut stream = TcpStream::connect(address).await.expect("the server accepts connections");
    stream.write_all(at_once).await.expect("a new connection takes bytes");
    let (mut reading, mut writing) = stream.split();
    let mut drops = interval(Duration::from_millis(250));
    let mut piece = [0_u8; 1024];
    loop {
        tokio::select! {
            biased;
            count = reading.read(&mut piece) => {
                // An answer may come before the end, and says that it took too long.
                if count.is_err() || count.is_ok_and(|count| count == 0) {
                    return start.elapsed();
                }
            }
            _ = drops.tick(), if drip.is_some() => {
                let byte = drip.into_iter().collect::<Vec<u8>>();
                drop(writing.write_all(&byte).await);
            }
        }
    }
}
