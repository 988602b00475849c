//! What became of spans, counted.

use nightlatch_core::Counters;

/// What became of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The collector took it.
    Exported,
    /// Too many waited.
    Dropped,
    /// The collector could not be told.
    Failed,
    /// The collector did not want it.
    Rejected,
}

impl Fate {
    const ALL: [Self; 4] = [Self::Exported, Self::Dropped, Self::Failed, Self::Rejected];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        }
    }
}

/// Counters of them.
#[derive(Debug, Default)]
pub struct Tallies(Counters<{ Fate::ALL.len() }>);

impl Tallies {
    pub(super) fn add(&self, fate: Fate, spans: u64) {
        self.0.add(fate as usize, spans);
    }

    /// Spans, by what became of them.
    #[must_use]
    pub fn read(&self) -> [(&'static str, u64); 4] {
        let counts = self.0.read();
        Fate::ALL.map(|fate| (fate.as_str(), counts[fate as usize]))
    }
}
