//! An application that knows nothing of logins and shows what it got.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::listener::serve_each;

/// The longest body that it takes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// It answers every request with what it got: `{method, path, headers: [[name, value]], body}`. The status is
/// 200, or on `/status/NNN` that one.
pub struct EchoServer {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    /// Ends with it.
    _serving: JoinSet<()>,
}

impl EchoServer {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let requests = Arc::new(AtomicUsize::new(0));
        let mut serving = JoinSet::new();
        let counted = Arc::clone(&requests);
        serving.spawn(serve_each(listener, move |stream| serve(stream, Arc::clone(&counted))));
        Self { address, requests, _serving: serving }
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many requests have reached it.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn serve(stream: TcpStream, requests: Arc<AtomicUsize>) {
    let mut stream = BufStream::new(stream);
    while let Some((status, got)) = read(&mut stream).await {
        requests.fetch_add(1, Ordering::Relaxed);
        let body = got.to_string();
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            break;
        }
    }
}

/// The next request: the status that it asks for, and what it is.
async fn read(stream: &mut BufStream<TcpStream>) -> Option<(u16, Value)> {
    let first = line(stream).await?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let (mut headers, mut length) = (Vec::new(), 0);
    loop {
        let line = line(stream).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok().filter(|length| *length <= BODY_BYTES_MAX)?;
        }
        headers.push(json!([name, value.trim()]));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let status = path.strip_prefix("/status/").and_then(|status| status.parse().ok());
    let body = String::from_utf8_lossy(&body);
    let got = json!({ "method": method, "path": path, "headers": headers, "body": body });
    Some((status.unwrap_or(200), got))
}

async fn line(stream: &mut BufStream<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    let count = stream.read_until(b'\n', &mut line).await.ok()?;
    (count > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
}
