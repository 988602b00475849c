//! Closing a connection so that the last answer is heard.
//!
//! An answer may be ready before its request has arrived as a whole: too large, not allowed, not
//! HTTP. When a socket is closed with bytes unread, the kernel sends a reset, and a client that is
//! still sending may lose the answer to it (RFC 9112, 9.6). So we say that we are done, and read
//! on for a moment what nobody wants.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long the other side may take to close too.
const LINGER: Duration = Duration::from_secs(1);

/// The most that is read meanwhile: what a client may have sent before it hears the answer.
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A connection whose shutdown waits until the other side has heard the last answer.
pub(super) struct Lingering {
    stream: TcpStream,
    closing: Option<Closing>,
}

struct Closing {
    end: Pin<Box<Sleep>>,
    bytes_left: usize,
}

impl Lingering {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, closing: None }
    }

    /// Reads until the other side closes, or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { stream, closing } = self;
        let closing = closing.get_or_insert_with(|| Closing {
            end: Box::pin(sleep(LINGER)),
            bytes_left: LINGER_BYTES_MAX,
        });
        let mut piece = [0; 8 * 1024];
        // Bounded by `bytes_left`.
        while closing.end.as_mut().poll(cx).is_pending() {
            let mut unwanted = ReadBuf::new(&mut piece);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut unwanted));
            let count = unwanted.filled().len();
            if read.is_err() || count == 0 || count > closing.bytes_left {
                break;
            }
            closing.bytes_left -= count;
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Lingering, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (Lingering::new(server), client)
    }

    #[tokio::test]
    async fn who_is_still_sending_hears_the_answer() {
        let (mut server, mut client) = pair().await;
        let sending = vec![b'x'; 1024 * 1024];
        let close = async {
            server.write_all(b"no").await.unwrap();
            server.shutdown().await.unwrap();
            drop(server);
        };
        let hear = async {
            client.write_all(&sending).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            drop(client);
            answer
        };
        let ((), answer) = tokio::join!(close, hear);
        assert_eq!(answer, "no");
    }

    #[tokio::test]
    async fn who_never_closes_is_not_waited_for() {
        let (mut server, client) = pair().await;
        server.shutdown().await.unwrap();
        drop(client);
    }
}
