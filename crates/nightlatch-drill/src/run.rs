//! A drill from its first fault to its last: for each a fresh load, the fault, its end, and the verdict.
//!
//! Each fault has a load and a log of its own, so that what is broken is told of the fault that broke it.

mod row;
mod sleeper;
mod well;

use std::time::Duration;

use nightlatch_core::{Entropy as _, SystemEntropy};
use thiserror::Error;

use crate::chance::Chance;
use crate::fault::Fault;
use crate::load::LoadError;
use crate::outcome::Outcome;
use crate::proxy::ProxyError;
use crate::scene::{Scene, SceneError};
use row::Row;

pub(crate) use sleeper::ASLEEP;
pub(crate) use well::WELL_LIMIT;

/// What a drill is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In this order.
    pub faults: Vec<&'static Fault>,
    /// How long each lasts.
    pub span: Duration,
}

/// Why a drill came to no verdict.
#[derive(Debug, Error)]
pub enum DrillError {
    /// What it is held with.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// The load.
    #[error("{0}: {1}")]
    Load(&'static str, LoadError),
}

impl From<ProxyError> for DrillError {
    fn from(error: ProxyError) -> Self {
        Self::Scene(SceneError::Proxy(error))
    }
}

/// Where a drill is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// People register and log in.
    Preparing,
    /// Load without a fault, to compare with.
    Before,
    /// The fault lasts.
    Faulty,
    /// It has ended, and not all is well again.
    Recovering,
    /// All is well, and the load goes on.
    After,
    /// The log is judged.
    Judging,
}

/// How it goes.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Which fault.
    pub fault: &'static Fault,
    /// Where it is.
    pub phase: Phase,
    /// Requests a second in the last moment.
    pub per_second: f64,
    /// How many requests were answered otherwise than hoped for, or not at all.
    pub failures: usize,
    /// The worst time of a request.
    pub worst: Duration,
}

/// What is told while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// How it goes.
    Progress(&'e Progress),
    /// A fault has its verdict.
    Done(&'e Outcome),
}

/// What came of a drill.
#[derive(Debug)]
pub struct Report {
    /// What it was held with, in words.
    pub scene: String,
    /// How long each fault lasted at least.
    pub span: Duration,
    /// Of each fault that was shown.
    pub outcomes: Vec<Outcome>,
    /// Those that could not be, and why.
    pub left_out: Vec<(&'static Fault, &'static str)>,
}

impl Report {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.broken.is_empty())
    }
}

/// Holds a drill. Dropped, it stops where it is.
///
/// # Errors
/// It cannot go on: what it is held with does not do what it is told.
pub async fn hold(
    scene: &mut Scene,
    plan: &Plan,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<Report, DrillError> {
    let mut report =
        Report { scene: scene.in_words(), span: plan.span, outcomes: Vec::new(), left_out: vec![] };
    let mut chance = Chance::from_seed(SystemEntropy.bits());
    for (number, fault) in plan.faults.iter().enumerate() {
        if let Some(why) = fault.why_not(scene) {
            report.left_out.push((fault, why));
            continue;
        }
        let row = Row::begin(scene, (number, fault), plan.span, &mut chance, tell).await?;
        let outcome = row.hold().await?;
        tell(Event::Done(&outcome));
        report.outcomes.push(outcome);
    }
    Ok(report)
}
