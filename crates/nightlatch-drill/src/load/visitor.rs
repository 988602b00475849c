//! Somebody who asks for one thing after the other, as a drill says, beside the crowd.
//!
//! What they ask is in the same log, and judged with it.

use std::sync::Arc;

use super::book::Known;
use super::worker::Worker;
use super::{Person, SteadyLoad};
use crate::chance::Chance;

/// Asks what it is told to.
pub struct Visitor(Worker);

/// A session of a visitor.
pub struct Visit(Known);

impl SteadyLoad {
    /// Somebody who is registered, and not of the crowd.
    #[must_use]
    pub fn visitor(&self, person: Person) -> Visitor {
        let chance = Chance::from_seed(0);
        Visitor(Worker::new(Arc::clone(&self.book), person, self.limit, chance))
    }
}

impl Visitor {
    /// Logs in at a server; `None`: it was not let in.
    pub async fn log_in(&mut self, node: usize) -> Option<Visit> {
        self.0.turn_to(node);
        let answer = self.0.log_in().await.ok()?;
        let known = self.0.own.take().filter(|_| answer.status == 200);
        known.map(Visit)
    }

    /// Asks a server whose session it is; the status, if there was an answer.
    pub async fn check(&mut self, node: usize, visit: &Visit) -> Option<u16> {
        self.0.turn_to(node);
        self.0.check(&visit.0).await.ok()
    }

    /// Logs out at a server; the status, if there was an answer.
    pub async fn log_out(&mut self, node: usize, visit: &Visit) -> Option<u16> {
        self.0.turn_to(node);
        self.0.end_session(&visit.0).await.ok()
    }
}
