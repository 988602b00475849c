//! Saying that this node lives, and what follows from who else does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Service;
use crate::{Deadline, StoreError};

/// The longest that an answer waits to be told who lives.
const FIND_SPAN: Duration = Duration::from_millis(250);

impl Service {
    /// Nodes that live, as the last heartbeat told it.
    #[must_use]
    pub fn live_nodes(&self) -> u32 {
        self.live_nodes.load(Ordering::Relaxed)
    }

    /// Says in the record that this node lives, and shares the limits of tries with all who do.
    /// How many that are, this one included.
    ///
    /// # Errors
    /// The record's; then the last known number of nodes goes on to count.
    pub async fn beat(&self, deadline: Deadline) -> Result<u32, StoreError> {
        let cluster = self.ports.record.heartbeat(self.ports.node, deadline).await?;
        // Who is missing for the first time may be about to come back: after an outage of the
        // record one node is the first to be heard again.
        let before = self.live_nodes.swap(cluster.live, Ordering::Relaxed);
        self.ports.throttle.share_among(cluster.live.max(before));
        Ok(cluster.live)
    }

    /// Says in the record that this node stops.
    ///
    /// # Errors
    /// The record's; then the node counts as live a while, and as fallen silent after it.
    pub async fn leave(&self, deadline: Deadline) -> Result<(), StoreError> {
        self.ports.record.leave(self.ports.node, deadline).await
    }

    /// Within which time a revocation that is durable binds every node. The record is asked each
    /// time, as another node may have come a moment ago; if it does not say, the longest is told.
    pub async fn time_to_spread(&self, deadline: Deadline) -> Duration {
        let soon = deadline.at_most(self.clock(), FIND_SPAN);
        let longest = self.policy.max_staleness;
        match self.ports.record.find_cluster(self.ports.node, soon).await {
            Ok(cluster) => cluster.spread(self.now(), longest),
            Err(_) => longest,
        }
    }
}
