//! Spans of traced requests, by what became of them.
//!
//! Told by a server that traces nothing, too: an alert on what is dropped needs a series to look at.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::encode::counters;
use crate::traces::{Tallies, Traces};

/// What became of spans.
#[derive(Debug)]
pub(super) struct Spans(pub(super) Option<Arc<Traces>>);

impl Collector for Spans {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let told =
            self.0.as_ref().map_or_else(|| Tallies::default().read(), |it| it.tallies().read());
        counters(
            &mut encoder,
            "trace_spans",
            "Spans of traced requests, by what became of them",
            told.map(|(outcome, count)| ([("outcome", outcome)], count)),
        )
    }
}
