//! How long things may take.

use std::time::Duration;

use super::reader::Reader;
use super::value;

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

impl LimitsConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            max_staleness: reader.required("NIGHTLATCH_MAX_STALENESS", value::seconds),
            request_deadline: reader.required("NIGHTLATCH_REQUEST_DEADLINE", value::seconds),
            login_deadline: reader.required("NIGHTLATCH_LOGIN_DEADLINE", value::seconds),
            drain: reader.required("NIGHTLATCH_DRAIN", value::seconds),
        }
    }
}
