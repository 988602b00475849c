//! Notices a request that was answered before its body had arrived as a whole.
//!
//! The connection of such a request is closed behind the answer, since nobody reads the rest. The
//! answer must say so, or the client sends its next request into a connection that ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// A body that notes when it has been read to its end.
pub(super) struct WatchedBody {
    body: Incoming,
    end: BodyEnd,
}

/// Whether a body has been read to its end.
#[derive(Clone)]
pub(super) struct BodyEnd(Arc<AtomicBool>);

impl BodyEnd {
    pub(super) fn is_reached(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl WatchedBody {
    pub(super) fn new(body: Incoming) -> Self {
        let end = BodyEnd(Arc::new(AtomicBool::new(body.is_end_stream())));
        Self { body, end }
    }

    pub(super) fn end(&self) -> BodyEnd {
        self.end.clone()
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.end.0.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
