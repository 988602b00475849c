//! Where sessions that were asked for came from, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where one came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// This node's own copies.
    Memory,
    /// Copies that nodes share.
    Shared,
    /// The record.
    Record,
}

/// Counters of them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    memory: AtomicU64,
    shared: AtomicU64,
    record: AtomicU64,
}

/// How many came from where, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceTallies {
    /// From this node's own copies.
    pub memory: u64,
    /// From copies that nodes share.
    pub shared: u64,
    /// From the record.
    pub record: u64,
}

impl Sources {
    pub(super) fn count(&self, source: Source) {
        let counter = match source {
            Source::Memory => &self.memory,
            Source::Shared => &self.shared,
            Source::Record => &self.record,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn tallies(&self) -> SourceTallies {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SourceTallies {
            memory: load(&self.memory),
            shared: load(&self.shared),
            record: load(&self.record),
        }
    }
}
