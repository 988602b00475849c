//! Bytes over a connection of its own: for input that no client library would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take to close the connection: above its header and body time-outs.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// The most that is read of an answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What came back before the server closed the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAnswer {
    /// Everything, as text.
    pub text: String,
}

impl RawAnswer {
    /// The status of the first answer, if there is one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }

    /// How many answers there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.text.matches("HTTP/1.1 ").count()
    }

    /// The body of the first answer.
    #[must_use]
    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// Sends `bytes` and reads until the server closes; panics when it does not.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> RawAnswer {
    let stream = TcpStream::connect(address).await.expect("the server accepts connections");
    let (mut reading, mut writing) = stream.into_split();
    let write = async {
        // A server may refuse before it has read everything.
        drop(writing.write_all(bytes).await);
        writing
    };
    let read = async {
        let mut answer = Vec::new();
        let mut piece = [0_u8; 4096];
        while let Ok(count) = reading.read(&mut piece).await {
            if count == 0 || answer.len() > ANSWER_BYTES_MAX {
                break;
            }
            answer.extend_from_slice(&piece[..count]);
        }
        answer
    };
    // The writing half is held until the server has closed: a half-closed connection would be
    // another case.
    let (_writing, answer) = timeout(CLOSE_LIMIT, async { tokio::join!(write, read) })
        .await
        .expect("the server closes the connection");
    RawAnswer { text: String::from_utf8_lossy(&answer).into_owned() }
}
