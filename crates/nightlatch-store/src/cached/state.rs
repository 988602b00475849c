//! How it is with the copies at one moment.
//!
//! For health and metrics: whoever asks for either is answered from here, never by asking the record.

use std::time::Duration;

use nightlatch_core::Position;

use super::{CachedRecord, SessionTallies};

/// The state of the copies at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiesState {
    /// Whether checks of sessions that are known here can be answered.
    pub serves: bool,
    /// For how long the record has not confirmed what is known of revocations; `None`: nothing is
    /// known of them yet.
    pub unconfirmed_for: Option<Duration>,
    /// How often the record's history was found to have forked.
    pub forks: u64,
    /// How many copies there are.
    pub count: usize,
    /// Up to where the feed is known.
    pub through: Option<Position>,
}

impl CachedRecord {
    /// How it is with the copies.
    #[must_use]
    pub fn copies_state(&self) -> CopiesState {
        let now = self.now();
        let rule = self.rule();
        CopiesState {
            serves: rule.serves_copies(now) && !self.copies.is_empty(),
            unconfirmed_for: rule.unconfirmed_for(now),
            forks: rule.forks(),
            count: self.copies.len(),
            through: rule.through(),
        }
    }

    /// Where sessions that were asked for came from, and what became of sessions, since the start.
    #[must_use]
    pub const fn tallies(&self) -> &SessionTallies {
        &self.tallies
    }
}
