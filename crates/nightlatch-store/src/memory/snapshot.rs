//! Backups of the reference record: what a real one has when it goes back in time.

use super::{MemoryRecord, State};

/// What a record held at one moment, as a backup or a standby that lags behind.
#[derive(Clone)]
pub struct Snapshot(State);

impl MemoryRecord {
    /// What the record holds now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.state().clone())
    }

    /// Goes back to what it held then. Nothing tells the nodes: positions are used a second time,
    /// with other ids.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.state().clone_from(&snapshot.0);
    }
}
