//! Nodes: who serves beside us, as their heartbeats in the record tell it.
//!
//! A node has to know whether a revocation has anywhere to spread to, and how many share a limit.
//! No node can tell by itself that another has died, so each says "alive" in the record, and what
//! all of them see there is the same.

use std::time::Duration;

use uuid::Uuid;

use crate::{Deadline, Entropy, StoreResult, Timestamp, entropy};

/// How often a node says that it lives.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);

/// A node whose last heartbeat is this old no longer counts as live: two may get lost.
pub const NODE_LIFE: Duration = Duration::from_secs(30);

/// How long the row of a node that fell silent is kept: longer than any copy may be served.
pub const NODE_RETENTION: Duration = Duration::from_hours(48);

/// The most rows of silent nodes that one heartbeat removes.
pub const NODE_SWEEP_MAX: u32 = 100;

/// How long other nodes that reach the record may take to hear of a revocation.
const REVOCATION_SPREAD: Duration = Duration::from_secs(2);

/// A running server, from its start to its end. A server that starts again is another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Uuid);

impl NodeId {
    /// A new id, sorted by time.
    #[must_use]
    pub fn fresh(entropy: &dyn Entropy, now: Timestamp) -> Self {
        Self(entropy::fresh_id(entropy, now))
    }

    /// From a stored value.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// For storing.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

/// The nodes of a record as one of them sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// How many nodes live, this one included.
    pub live: u32,
    /// When the last of the others fell silent that did not leave, in record time: that is when its
    /// last heartbeat was [`NODE_LIFE`] old. It may have lost the record only, and still serve.
    pub silent: Option<Timestamp>,
    /// The record's service time: a clock that runs while nodes reach the record, and stands still
    /// while none does.
    pub service_time: Duration,
}

impl Cluster {
    /// Within which time a revocation that the record has binds every node, if nodes without the
    /// record serve copies for `max_staleness` at most.
    #[must_use]
    pub fn spread(&self, now: Timestamp, max_staleness: Duration) -> Duration {
        if self.silent.is_some_and(|silent| now < silent.after(max_staleness)) {
            return max_staleness;
        }
        if self.live > 1 { REVOCATION_SPREAD } else { Duration::ZERO }
    }
}

/// The table of nodes, and the clock that their heartbeats carry on.
pub trait NodeStore: Send + Sync {
    /// Says that `node` lives, carries service time on by what has passed since the last heartbeat
    /// of whichever node, at most [`HEARTBEAT_EVERY`], and tells of all nodes.
    fn heartbeat(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster>;

    /// Tells of all nodes, `node` among them, and changes nothing.
    fn find_cluster(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, Cluster>;

    /// Removes `node`, which stops in order and serves nothing any more.
    fn leave(&self, node: NodeId, deadline: Deadline) -> StoreResult<'_, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_spreads_as_far_as_there_are_nodes() {
        const STALE: Duration = Duration::from_mins(5);
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        for (live, silent, now, seconds) in [
            (1, None, 0, 0),
            (2, None, 0, 2),
            (1, Some(at(0)), 299, 300),
            (3, Some(at(0)), 299, 300),
            (1, Some(at(0)), 300, 0),
            (3, Some(at(0)), 300, 2),
            // The record's clock went back.
            (1, Some(at(9000)), 0, 300),
        ] {
            let cluster = Cluster { live, silent, service_time: Duration::ZERO };
            let spread = cluster.spread(at(now), STALE);
            assert_eq!(spread.as_secs(), seconds, "{live} live, {silent:?} at {now}");
        }
    }
}
