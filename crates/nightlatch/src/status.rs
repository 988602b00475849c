//! What a node was like in the last hour, kept in its own memory: for the status page.
//!
//! People look at it while something is wrong, so it asks nothing beneath and needs no other program.
//! Counters are kept as they stood, and a rate is the difference of two of them: whatever happens
//! between two samples is in the next.

mod board;
mod column;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nightlatch_core::Timestamp;

pub use self::board::Board;
use self::column::columns;
pub(crate) use self::column::{COLUMNS, Column};

/// How often a sample is taken.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// As many as an hour has, and the one before.
const SAMPLES_MAX: usize = 721;

/// A counter, as it stood.
pub type Count = (&'static str, u64);

/// What was known at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Each dependency that is configured, with the class of its failure.
    pub states: Vec<(&'static str, Option<&'static str>)>,
    /// Session checks by where the answer came from.
    pub checks: Vec<Count>,
    /// Logins by what became of them.
    pub logins: Vec<Count>,
    /// Calls of each dependency, and how long they took in all.
    pub calls: Vec<(&'static str, u64, Duration)>,
    /// For how long the record has confirmed nothing.
    pub staleness: Duration,
}

/// The samples of the last hour.
#[derive(Debug, Default)]
pub struct Samples(Mutex<VecDeque<Sample>>);

impl Samples {
    /// Adds the newest one. What is older than an hour goes.
    pub fn add(&self, sample: Sample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back: what comes after it began is no history.
        if samples.back().is_some_and(|newest| newest.at > sample.at) {
            samples.clear();
        }
        while samples.len() >= SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// The hour before `now`, in columns of a picture.
    pub(crate) fn columns(&self, now: Timestamp) -> Vec<Option<Column>> {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        columns(samples.make_contiguous(), now)
    }
}
