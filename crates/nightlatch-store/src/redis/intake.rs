//! What comes in over a connection: how it begins, and that it is not too much.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that are taken in for one answer: what somebody with access puts there must not
/// fill our memory.
const INTAKE_MAX: usize = 16 * 1024 * 1024;

/// What has come in over one connection.
#[derive(Clone, Default)]
pub(super) struct Intake(Arc<Counts>);

#[derive(Default)]
struct Counts {
    /// 0 before there is one.
    first_byte: AtomicU8,
    /// Bytes since the last answer that was complete.
    since_answer: AtomicUsize,
}

impl Intake {
    /// The first byte of all, which tells TLS from Redis; 0 before it has come.
    pub(super) fn first_byte(&self) -> u8 {
        self.0.first_byte.load(Ordering::Relaxed)
    }

    /// An answer is complete: what comes now is another one.
    pub(super) fn begin(&self) {
        self.0.since_answer.store(0, Ordering::Relaxed);
    }

    /// Whether it was more than is taken in: the client only knows that the connection has ended.
    pub(super) fn was_too_much(&self) -> bool {
        self.0.since_answer.load(Ordering::Relaxed) > INTAKE_MAX
    }

    fn take(&self, came: &[u8]) -> io::Result<()> {
        if let Some(first) = came.first()
            && self.first_byte() == 0
        {
            self.0.first_byte.store(*first, Ordering::Relaxed);
        }
        let before = self.0.since_answer.fetch_add(came.len(), Ordering::Relaxed);
        if before.saturating_add(came.len()) > INTAKE_MAX {
            // The client goes on reading after other kinds.
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "an answer is too long"));
        }
        Ok(())
    }
}

/// A stream whose intake is watched.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) intake: Intake,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => Poll::Ready(self.intake.take(&buf.filled()[before..])),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
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
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
