//! How long things may take.

use std::time::Duration;

/// Deadlines and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// How long copies are served while the record is away.
    pub max_staleness: Duration,
    /// For a whole request.
    pub request_deadline: Duration,
    /// For a whole request that hashes a password.
    pub login_deadline: Duration,
    /// The most a stop takes.
    pub drain: Duration,
}
