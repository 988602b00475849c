//! What bounds the rule: how long, and how much.
//!
//! Each span is part of a promise, so they stand together.

use std::time::Duration;

/// For how long one look at the record's feed lets copies be believed, from its start.
pub const LEASE: Duration = Duration::from_secs(2);

/// How long a copy is served before the record is asked again: what shows in no row of the feed,
/// such as a login that a failing-over database lost, lives on no longer than this.
pub(super) const COPY_LIFE: Duration = Duration::from_mins(10);

/// The shortest time for which revocations are remembered.
const WINDOW_MIN: Duration = Duration::from_mins(15);

/// The most revocations that are remembered, some 100 bytes each. When full, the oldest go and
/// `since` moves forward: more misses, never a wrong answer.
const REMEMBERED_MAX: usize = 250_000;

/// The most histories that are remembered as given up. More forks within the life of a copy would need
/// a record that goes back every few seconds.
pub(super) const LEFT_MAX: usize = 64;

/// What bounds the rule.
#[derive(Clone, Copy, Debug)]
pub struct CoherenceLimits {
    /// How long copies are served while the record does not answer.
    pub staleness: Duration,
    /// For how long revocations are remembered.
    pub window: Duration,
    /// How many are.
    pub remembered_max: usize,
}

impl CoherenceLimits {
    /// The usual ones. What is served late must be judged as long: the window outlasts `staleness`.
    #[must_use]
    pub fn new(staleness: Duration) -> Self {
        let window = WINDOW_MIN.max(staleness.saturating_mul(2));
        Self { staleness, window, remembered_max: REMEMBERED_MAX }
    }
}
