//! What was answered to some of the requests of a log.
//!
//! Numbers that tests and reports compare.

use std::time::Duration;

use crate::history::{Asked, Operation, Outcome};

/// What was answered to one kind of request, in one span of time.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How often each status; 0: no answer.
    pub statuses: std::collections::BTreeMap<u16, usize>,
    /// Half took no longer.
    pub p50: Duration,
    /// 99 in a hundred took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Summary {
    /// Of the requests `asked` that began within a span.
    #[must_use]
    pub fn of(log: &[Operation], asked: &[Asked], (from, to): (Duration, Duration)) -> Self {
        let chosen = log.iter().filter(|operation| {
            asked.contains(&operation.asked) && (from..to).contains(&operation.began)
        });
        let mut summary = Self::default();
        let mut took = Vec::new();
        for operation in chosen {
            *summary.statuses.entry(operation.status().unwrap_or(0)).or_default() += 1;
            if operation.outcome != Outcome::Lost {
                took.push(operation.took());
            }
        }
        took.sort_unstable();
        let at =
            |hundredth: usize| took.get((took.len() * hundredth / 100).min(took.len().max(1) - 1));
        summary.p50 = at(50).copied().unwrap_or_default();
        summary.p99 = at(99).copied().unwrap_or_default();
        summary.max = took.last().copied().unwrap_or_default();
        summary
    }

    /// How many there were.
    #[must_use]
    pub fn total(&self) -> usize {
        self.statuses.values().sum()
    }

    /// How many were told this status.
    #[must_use]
    pub fn told(&self, status: u16) -> usize {
        self.statuses.get(&status).copied().unwrap_or(0)
    }
}
