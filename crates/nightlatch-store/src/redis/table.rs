//! Which server has which key.

use std::sync::Arc;

use super::connect::HostAndPort;
use super::lane::Lane;
use super::slot::Slot;

/// The servers, and what each of them has.
pub(super) struct Table {
    lanes: Vec<Arc<Lane>>,
    /// The number of each slot's server, by slot; `None`: there is one server for all.
    owners: Option<Vec<Option<u16>>>,
}

impl Table {
    /// One server has all keys.
    pub(super) fn of_one(lane: Arc<Lane>) -> Self {
        Self { lanes: vec![lane], owners: None }
    }

    /// Several, each with its slots; a slot may be nobody's.
    pub(super) const fn of_many(lanes: Vec<Arc<Lane>>, owners: Vec<Option<u16>>) -> Self {
        Self { lanes, owners: Some(owners) }
    }

    /// The server of a slot; without one, a server that is connected, if any is.
    pub(super) fn lane_for(&self, slot: Option<Slot>) -> Option<&Arc<Lane>> {
        match (slot, &self.owners) {
            (None, _) => self.lanes.iter().find(|lane| lane.is_connected()).or(self.lanes.first()),
            (Some(_), None) => self.lanes.first(),
            (Some(slot), Some(owners)) => {
                let owner = owners.get(usize::from(slot.number())).copied().flatten()?;
                self.lanes.get(usize::from(owner))
            }
        }
    }

    /// The server at an address.
    pub(super) fn lane_at(&self, address: &HostAndPort) -> Option<&Arc<Lane>> {
        self.lanes.iter().find(|lane| lane.address() == Some(address))
    }

    /// All servers.
    pub(super) fn lanes(&self) -> &[Arc<Lane>] {
        &self.lanes
    }

    /// Whether there is a connection to any of them.
    pub(super) fn is_connected(&self) -> bool {
        self.lanes.iter().any(|lane| lane.is_connected())
    }
}
