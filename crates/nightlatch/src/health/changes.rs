//! Changes of state: a line of the log for each, and the latest ones kept for whoever looks.
//!
//! Several within ten seconds are one line, so that what comes and goes all the time fills no log.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use nightlatch_core::Timestamp;
use nightlatch_resilience::{HealthLine, HealthState};

use super::Health;
use crate::remedy::Remedy;

/// How many are kept.
const KEPT_MAX: usize = 100;

/// A change of state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// When it was told.
    pub(crate) at: Timestamp,
    /// Whose.
    pub(crate) dependency: &'static str,
    /// How it fails; `None`: it is as it should be again.
    pub(crate) class: Option<&'static str>,
}

/// The latest ones, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Changes(Mutex<VecDeque<Change>>);

impl Health {
    /// The latest changes of state, the oldest first.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let changes = self.changes.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.iter().copied().collect()
    }

    /// One line for a change of state, or for several within ten seconds, with what to try.
    pub(super) fn tell(&self, line: &HealthLine, remedy: Option<Remedy>) {
        let HealthLine { dependency, changes, .. } = *line;
        let was_down_s = line.was_down_for.map(|span| span.as_secs());
        let class = match line.state {
            HealthState::Up | HealthState::Unknown => {
                tracing::info!(event = "dependency.up", dependency, changes, was_down_s);
                None
            }
            HealthState::Down { class } => {
                let finding = remedy.map(|remedy| remedy.finding);
                let fix = remedy.and_then(|remedy| remedy.fix);
                tracing::warn!(event = "dependency.down", dependency, class, changes, finding, fix);
                Some(class)
            }
        };
        let mut kept = self.changes.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(Change { at: self.clock.now(), dependency, class });
    }
}
