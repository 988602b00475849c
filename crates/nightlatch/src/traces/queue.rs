//! The bounded queue between requests and the delivery.
//!
//! Whoever ends a span puts it in, or drops it where there is no room, and never waits.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::tallies::{Fate, Tallies};

/// Spans that wait at most: some two megabytes.
const WAITING_MAX: usize = 2048;

/// Where spans are put in.
#[derive(Debug)]
pub(super) struct Queue {
    sender: Sender<SpanData>,
    tallies: Arc<Tallies>,
}

/// Both ends.
pub(super) fn bounded(tallies: Arc<Tallies>) -> (Queue, Receiver<SpanData>) {
    let (sender, receiver) = channel(WAITING_MAX);
    (Queue { sender, tallies }, receiver)
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.tallies.add(Fate::Dropped, 1);
        }
    }

    /// The delivery does so by itself.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// It ends with the server's other tasks.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
