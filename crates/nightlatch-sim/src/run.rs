//! One run: a seed becomes a world, its history, and the verdict on it.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::checker::{self, Violation};
use crate::entropy::Rng;
use crate::fault::{FaultPlan, Setting};
use crate::history::History;
use crate::mutant;
use crate::subject::Subject;
use crate::workload::Workload;
use crate::world::World;

/// Streams of the seed.
const FAULT_STREAM: u64 = 10;
const WORKLOAD_STREAM: u64 = 11;
const ACCELERATOR_STREAM: u64 = 12;
const TOKEN_STREAM: u64 = 13;

/// After the last fault: until what is promised "within seconds" is due.
const SETTLING: Duration = Duration::from_secs(25);

/// In the end nothing is under way any more.
const ENDING: Duration = Duration::from_secs(6);

/// What is to be simulated.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// All of chance.
    pub seed: u64,
    /// Whether there are programs that have tokens, beside people with cookies.
    pub with_tokens: bool,
    /// How many steps people take.
    pub steps: usize,
    /// Of what.
    pub subject: Subject,
}

/// What happened, and whether it should have.
pub struct Report {
    setting: Setting,
    history: History,
    violations: Vec<Violation>,
}

impl Run {
    /// Simulates it.
    #[must_use]
    pub fn report(self) -> Report {
        let _broken = mutant::Broken::only(match self.subject {
            Subject::Shipped => None,
            Subject::Copied(rule) => rule,
        });
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing of the system");
        let mut plan = FaultPlan::draw(
            Rng::stream(self.seed, FAULT_STREAM),
            Rng::stream(self.seed, ACCELERATOR_STREAM),
            self.with_tokens.then(|| Rng::stream(self.seed, TOKEN_STREAM)),
        );
        let setting = plan.setting.clone();
        let history = runtime.block_on(self.simulate(&mut plan));
        let violations = checker::violations(&history, &setting);
        Report { setting, history, violations }
    }

    async fn simulate(self, plan: &mut FaultPlan) -> History {
        let setting = plan.setting.clone();
        let people = setting.people;
        let origin = (self.seed, self.subject);
        let mut world = World::begin(origin, setting, plan.goes_back()).await;
        let mut workload = Workload::new(Rng::stream(self.seed, WORKLOAD_STREAM), people);
        for _ in 0..self.steps {
            if let Some(fault) = plan.next() {
                world.strike(fault).await;
            }
            let pause = workload.step(&mut world);
            world.pass(pause).await;
        }
        world.heal();
        world.pass(SETTLING).await;
        Workload::look_around(&mut world);
        world.pass(ENDING).await;
        world.recorder.take()
    }
}

impl Report {
    /// The promises that were broken.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Where the history of another run parts from this one, in words; `None`: nowhere.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<String> {
        self.history.first_difference(&other.history)
    }

    /// How many operations there were.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.history.ops.len()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.setting)?;
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        let Some(first) = self.violations.first() else { return Ok(()) };
        writeln!(f, "what concerns it:")?;
        self.history.tell(f, first)
    }
}
