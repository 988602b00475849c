//! The promises, one function each, judged over a recorded history.
//!
//! Written from what is promised to people (ARCHITECTURE.md), not from the code: a checker that
//! shared its idea of a copy with the code would share its mistakes.

mod bounds;
mod credentials;
mod finality;
mod standing;
mod tokens;

use std::fmt;

use crate::fault::Setting;
use crate::history::{Given, History, OpId, Person};
use crate::model::{Model, login_of, person_of, presented};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one, as ARCHITECTURE.md calls it.
    pub promise: &'static str,
    /// How.
    pub text: String,
    /// The operations that show it.
    ops: Vec<usize>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {:?}", self.promise, self.text, self.ops)
    }
}

type Promise = fn(&Model<'_>, &mut Vec<Violation>);

/// All of them, to be read top-down.
const PROMISES: &[Promise] = &[
    standing::login_stands,
    standing::nobody_is_somebody_else,
    standing::groups_are_fresh,
    standing::expiry_is_judged_in_record_time,
    standing::idle_sessions_expire,
    finality::logout_is_final,
    finality::a_waiting_logout_is_refused_here_and_done_soon,
    finality::one_node_has_one_knowledge,
    credentials::only_the_right_password_logs_in,
    credentials::the_right_password_is_not_denied,
    tokens::a_token_has_one_successor,
    tokens::a_lost_answer_is_no_reuse,
    tokens::a_superseded_token_is_not_exchanged,
    tokens::access_tokens_expire,
    bounds::no_copy_outlives_the_staleness_bound,
    bounds::copies_bridge_an_outage,
    bounds::service_is_back_within_seconds,
    bounds::everything_is_answered_in_time,
    bounds::one_look_at_a_time,
];

/// Judges a history by every promise.
pub(crate) fn violations(history: &History, setting: &Setting) -> Vec<Violation> {
    let model = Model::new(history, setting);
    let mut violations = Vec::new();
    for promise in PROMISES {
        promise(&model, &mut violations);
    }
    violations
}

/// `ops` are those that show it, the decisive one first.
fn broken(promise: &'static str, text: &str, ops: &[OpId]) -> Violation {
    Violation { promise, text: text.to_owned(), ops: ops.iter().map(|op| op.0).collect() }
}

impl History {
    /// Tells what happened around a violation.
    pub(crate) fn tell(&self, f: &mut fmt::Formatter<'_>, violation: &Violation) -> fmt::Result {
        let shown: Vec<_> = violation.ops.iter().filter_map(|op| self.ops.get(*op)).collect();
        let Some(until) =
            shown.iter().map(|op| op.ended.map_or(op.began.order, |(at, _)| at.order)).max()
        else {
            return Ok(());
        };
        let session = shown.iter().find_map(|op| presented(op.action));
        let person = shown.iter().find_map(|op| person_of(self, op.action));
        let mut lines = Vec::new();
        for (number, op) in self.ops.iter().enumerate().filter(|(_, op)| op.began.order <= until) {
            let shows_it = violation.ops.contains(&number);
            if shows_it || self.concerns(number, (session, person)) {
                let marked = if shows_it { "=>" } else { "  " };
                lines.push((op.began.order, format!("{marked} {number}: {op:?}")));
            }
        }
        for fork in self.forks.iter().filter(|fork| fork.at.order <= until) {
            lines.push((fork.at.order, format!("   {fork:?}")));
        }
        lines.sort();
        for (_, line) in lines {
            writeln!(f, "{line}")?;
        }
        for troubled in &self.troubles {
            writeln!(f, "   {troubled:?}")?;
        }
        writeln!(f, "   {:?}", self.lives)
    }

    fn concerns(&self, number: usize, (session, person): (Option<Given>, Option<Person>)) -> bool {
        let op = &self.ops[number];
        match presented(op.action) {
            Some(other) if session.is_some() => {
                session == Some(other)
                    || (person_of(self, op.action) == person && op.effect.is_some())
            }
            _ => {
                let gave = session.is_some_and(|given| self.sessions[given.0].born.0 == number);
                let is_change = op.effect.is_some() && login_of(op.action).is_none();
                let its = person_of(self, op.action).is_none_or(|other| Some(other) == person);
                gave || (its && (is_change || session.is_none()))
            }
        }
    }
}
