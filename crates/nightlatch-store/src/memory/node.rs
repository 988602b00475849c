//! Nodes of the reference record, and the clock that they carry on.

use std::collections::BTreeMap;
use std::time::Duration;

use nightlatch_core::{
    Cluster, Deadline, HEARTBEAT_EVERY, NODE_LIFE, NODE_RETENTION, NodeId, NodeStore, StoreResult,
    Timestamp,
};

use super::MemoryRecord;

/// Who said when that it lives.
#[derive(Clone, Default)]
pub(super) struct Nodes {
    beats: BTreeMap<NodeId, Timestamp>,
    service_time: Duration,
    last_beat: Option<Timestamp>,
}

impl NodeStore for MemoryRecord {
    fn heartbeat(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster> {
        self.run("saying that this node lives", deadline, move |state| {
            let now = state.now();
            state.nodes.beat(node, now);
            state.nodes.cluster(node, now)
        })
    }

    fn find_cluster(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster> {
        self.run("asking which nodes live", deadline, move |state| {
            state.nodes.cluster(node, state.now())
        })
    }

    fn leave(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, ()> {
        self.run("saying that this node leaves", deadline, move |state| {
            state.nodes.beats.remove(&node);
        })
    }
}

impl Nodes {
    fn beat(&mut self, node: NodeId, now: Timestamp) {
        // A clock that went back adds nothing.
        let passed = now.since(self.last_beat.unwrap_or(now));
        self.service_time += passed.min(HEARTBEAT_EVERY);
        self.last_beat = Some(now);
        self.beats.insert(node, now);
        for beat in self.beats.values_mut() {
            *beat = (*beat).min(now);
        }
        self.beats.retain(|_, beat| *beat >= now.before(NODE_RETENTION));
    }

    /// Service time at this moment: it runs on from the last heartbeat, for one interval at most.
    pub(super) fn service_time(&self, now: Timestamp) -> Duration {
        let passed = now.since(self.last_beat.unwrap_or(now));
        self.service_time + passed.min(HEARTBEAT_EVERY)
    }

    pub(super) fn shift(&mut self, shift: impl Fn(Timestamp) -> Timestamp) {
        for beat in self.beats.values_mut().chain(&mut self.last_beat) {
            *beat = shift(*beat);
        }
    }

    pub(super) fn cluster(&self, node: NodeId, now: Timestamp) -> Cluster {
        let dead_from = now.before(NODE_LIFE);
        let others = || self.beats.iter().filter(|(id, _)| **id != node).map(|(_, beat)| *beat);
        let live = others().filter(|beat| *beat > dead_from).count();
        let silent = others().filter(|beat| *beat <= dead_from).max();
        Cluster {
            live: u32::try_from(live).unwrap_or(u32::MAX).saturating_add(1),
            silent: silent.map(|beat| beat.after(NODE_LIFE)),
            service_time: self.service_time,
        }
    }
}
