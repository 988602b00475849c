//! The port to the failures that the record keeps for throttles.
//!
//! They are kept so that a restart gives no fresh allowance, and read by the other nodes, so that
//! all of them together let through what one of them would.

use crate::{AuditedFailure, Deadline, Failure, NodeId, StoreResult, Timestamp};

/// A place among the failures that the record keeps. Places follow commit order: whoever has seen
/// everything up to one has missed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailurePosition(pub i64);

/// The failures from before a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFailures {
    /// Whoever counted them, oldest first.
    pub failures: Vec<Failure>,
    /// Up to where they are all the record had.
    pub through: FailurePosition,
}

/// What the record has of other nodes since the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureNews {
    /// What other nodes counted.
    pub failures: Vec<Failure>,
    /// Where the next look goes on.
    pub through: FailurePosition,
    /// There is more behind it already.
    pub is_cut: bool,
    /// How many nodes live, the one that asks included.
    pub live: u32,
}

/// Failures that throttles count, kept so that a restart gives no fresh allowance.
pub trait ThrottleStore: Send + Sync {
    /// Appends failures that the node `by` has counted, and writes `audited` to the audit log.
    fn append_failures(
        &self,
        by: NodeId,
        failures: Vec<Failure>,
        audited: Vec<AuditedFailure>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()>;

    /// The failures after `since`, at most `limit` of the newest.
    fn list_failures(
        &self,
        since: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, KeptFailures>;

    /// What others than `by` have appended above `after`, out of at most `limit` rows, in one
    /// statement. A record that was set back gives the place where it now ends.
    fn poll_failures(
        &self,
        by: NodeId,
        after: FailurePosition,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FailureNews>;
}
