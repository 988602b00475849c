//! What did not work: a finding to be, small enough to be handed up.
//!
//! Each is an error of the server or of what stands before it, so there is no level to choose.

use crate::config::ProblemLevel::Error;
use crate::doctor::finding::Finding;

/// What did not work.
pub(super) struct Failure {
    id: &'static str,
    why: String,
}

impl Failure {
    pub(super) fn new(id: &'static str, why: impl Into<String>) -> Self {
        Self { id, why: why.into() }
    }
}

impl From<Failure> for Finding {
    fn from(failure: Failure) -> Self {
        Self::new(failure.id, Error, failure.why)
    }
}
