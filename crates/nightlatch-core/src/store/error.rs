//! The record gave no answer: what kind of silence it is.
//!
//! "Not applied" and "unknown" lead to different answers to people, so every failure says which.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::FailureClass;

/// Whether a write that failed may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It surely has not.
    NotApplied,
    /// It may have: the connection or the deadline ended before the answer.
    Unknown,
}

/// What a caller can do about a failure of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The record cannot be reached or used now.
    Unavailable,
    /// Our own queue to the record is full.
    Overloaded,
    /// Our own deadline ran out.
    Deadline,
    /// The record answered something that makes no sense.
    Corrupt,
    /// The record does not answer, and what is known here is older than it may be.
    TooStale,
}

/// The record gave no answer. Never means "no".
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    class: FailureClass,
    outcome: Outcome,
    doing: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// A failure while `doing` something, classified where it entered.
    #[must_use]
    pub fn new(
        kind: StoreErrorKind,
        class: FailureClass,
        outcome: Outcome,
        doing: &'static str,
    ) -> Self {
        Self { kind, class, outcome, doing, source: None }
    }

    /// Adds the driver's error, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same failure for another who waited for the same answer.
    #[must_use]
    pub fn shared(error: &Arc<Self>) -> Self {
        Self {
            kind: error.kind,
            class: error.class,
            outcome: error.outcome,
            doing: error.doing,
            source: Some(Box::new(Arc::clone(error))),
        }
    }

    /// What a caller can do about it.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Its class in health, metrics and logs.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        self.class
    }

    /// Whether a write may have happened.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record: {} failed ({})", self.doing, self.class)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}
