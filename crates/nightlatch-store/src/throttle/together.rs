//! Counting together with the other nodes, where there is a place for it: faster than through the
//! record, so that no node needs a share set apart. A place that does not answer, or not well, leaves
//! each node to its own count, which it has kept all the while.

use std::time::Duration;

use nightlatch_core::{BoxFuture, Limit, ThrottleKey};

/// Where nodes count tries together.
pub trait SharedCounters: Send + Sync {
    /// Whether there is one that can be asked now.
    fn is_there(&self) -> bool;

    /// Whether what is counted there under a counter is to be believed now.
    fn knows(&self, key: &ThrottleKey) -> bool;

    /// Reserves a try in every counter, or in none, within `limit` and within what is left of what one
    /// request may spend here, of which `spent` is gone.
    fn reserve<'a>(
        &'a self,
        wants: &'a [Want],
        spent: Duration,
        limit: Duration,
    ) -> BoxFuture<'a, Together>;

    /// Counts a try as failed, reserved or not; at some time, or not at all: nobody waits for it.
    fn fail(&self, wants: &[(ThrottleKey, Limit)], reserved: Option<Reservation>);

    /// Gives a reserved try back, in the same way.
    fn give_back(&self, wants: &[(ThrottleKey, Limit)], reserved: Reservation);
}

/// A counter under which a try is to be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Which one.
    pub key: ThrottleKey,
    /// Its limit.
    pub limit: Limit,
    /// How many failures this node knows of that all must know by now: where fewer are counted, it is
    /// not counted together.
    pub known: usize,
}

/// A try that was reserved together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Drawn at random.
    pub id: [u8; 8],
    /// When, in record time: microseconds.
    pub at: i64,
}

/// What all nodes together say to a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Together {
    /// There is room.
    Reserved(Reservation),
    /// As many as are left are being evaluated.
    Wait,
    /// Too many have failed.
    Throttled {
        /// The counter that is full.
        key: ThrottleKey,
        /// Its limit.
        limit: Limit,
        /// When it has room again.
        retry_after: Duration,
    },
    /// It cannot be known now.
    Unknown,
}
