//! What came of one fault: numbers, pictures to be, and every promise that broke.
//!
//! The judge says what cannot be true at any time. What a fault may be noticed by, how long anything may take
//! and when all is to be well again, is said here.

use std::time::Duration;

use crate::fault::{Act, Fault, Wanted};
use crate::history::{Asked, Circumstances, Operation, Outcome as Told, judge_under};

/// The longest that a login, a logout, a password change or an exchange of tokens may take: the deadline of
/// a request that hashes, and some for the machine.
pub const WRITE_LIMIT: Duration = Duration::from_secs(6);

/// The longest that a session check may take: the deadline of a request, and some for the machine.
pub const CHECK_LIMIT: Duration = Duration::from_secs(3);

/// How soon after a fault all is well again.
pub const RECOVERY_LIMIT: Duration = Duration::from_secs(10);

/// The most columns of a picture, and the narrowest.
const COLUMNS_MAX: u32 = 160;
const COLUMN_MIN: Duration = Duration::from_millis(250);

const WRITES: [Asked; 4] = [Asked::LogIn, Asked::LogOut, Asked::ChangePassword, Asked::Exchange];
const CHECKS: [Asked; 2] = [Asked::Check, Asked::Verify];

/// What came of a fault.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which.
    pub fault: &'static Fault,
    /// Requests from its beginning on.
    pub requests: usize,
    /// Those of them that were not answered, or otherwise than hoped for.
    pub failures: usize,
    /// How often an acknowledged login was told to be none.
    pub lost: usize,
    /// How often a session was accepted after its end had been acknowledged.
    pub resurrected: usize,
    /// The worst time of a request, from its beginning on.
    pub worst: Duration,
    /// How long after its end all was well again; `None`: it was not waited for any longer.
    pub recovery: Option<Duration>,
    /// What the servers said of what is beneath them while it lasted.
    pub classes: Vec<String>,
    /// Every promise that broke.
    pub broken: Vec<Broken>,
    /// When it began and ended, since the beginning of the picture.
    pub faulty: (Duration, Duration),
    /// How wide a column is.
    pub width: Duration,
    /// The picture.
    pub columns: Vec<Column>,
}

/// A promise that broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub promise: &'static str,
    /// How often.
    pub times: usize,
    /// What was seen first.
    pub first: String,
}

/// What was asked in one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Answered as hoped for.
    pub served: u32,
    /// Told 503.
    pub refused: u32,
    /// Not answered, or otherwise.
    pub failed: u32,
    /// The longest that a request took.
    pub worst: Option<Duration>,
}

/// What was seen of a fault.
pub(crate) struct Findings<'f> {
    pub(crate) fault: &'static Fault,
    pub(crate) log: &'f [Operation],
    pub(crate) circumstances: Circumstances,
    pub(crate) faulty: (Duration, Duration),
    /// When the load ended.
    pub(crate) end: Duration,
    pub(crate) recovery: Option<Duration>,
    pub(crate) classes: Vec<String>,
    /// A server that slept while the fault lasted, so that nobody can expect an answer of it.
    pub(crate) asleep: Option<usize>,
}

/// Whether a request was not answered, or otherwise than hoped for. What is refused because it is over is
/// no failure.
pub(crate) fn is_failure(operation: &Operation) -> bool {
    !matches!(operation.status(), Some(200 | 401 | 403))
}

impl Findings<'_> {
    pub(crate) fn conclude(self) -> Outcome {
        let judgement = judge_under(&self.judged(), &self.circumstances);
        let (lost, resurrected) = (judgement.lost.len(), judgement.revoked_accepted.len());
        let mut broken = Vec::new();
        for (kind, lines) in judgement.all() {
            if let Some(first) = lines.first() {
                let (promise, times) = (promise_of(kind), lines.len());
                broken.push(Broken { promise, times, first: first.clone() });
            }
        }
        self.judge_codes(&mut broken);
        self.judge_times(&mut broken);
        self.judge_wanted(&mut broken);
        let since =
            || self.log.iter().filter(|it| it.began >= self.faulty.0 && it.began < self.end);
        let worst = since().filter(|it| !self.slept_through(it)).map(Operation::took).max();
        let (width, columns) = self.columns();
        Outcome {
            fault: self.fault,
            requests: since().count(),
            failures: since().filter(|operation| is_failure(operation)).count(),
            lost,
            resurrected,
            worst: worst.unwrap_or_default(),
            recovery: self.recovery,
            classes: self.classes,
            broken,
            faulty: self.faulty,
            width,
            columns,
        }
    }

    /// What is judged: a staging system may throttle its only user, which is a failure and no broken promise.
    fn judged(&self) -> Vec<Operation> {
        let is_judged = |operation: &&Operation| !self.is_throttled(operation);
        self.log.iter().filter(is_judged).cloned().collect()
    }

    fn is_throttled(&self, operation: &Operation) -> bool {
        self.circumstances.behind_proxy && operation.status() == Some(429)
    }

    fn slept_through(&self, operation: &Operation) -> bool {
        self.asleep == Some(operation.node)
            && operation.began < self.faulty.1
            && operation.ended >= self.faulty.0
    }

    fn judge_codes(&self, broken: &mut Vec<Broken>) {
        let is_mute = |operation: &&Operation| matches!(&operation.outcome, Told::Answered(told) if told.status == 503 && told.code.is_empty());
        let promise = "A 503 says why, by a code";
        note(broken, promise, self.log.iter().filter(is_mute));
    }

    fn judge_times(&self, broken: &mut Vec<Broken>) {
        let is_late = |operation: &&Operation| {
            let limit = if operation.is_check() { CHECK_LIMIT } else { WRITE_LIMIT };
            operation.took() > limit && !self.slept_through(operation)
        };
        let promise = "Every request is answered within its limit";
        note(broken, promise, self.log.iter().filter(is_late));
        if self.recovery.is_none_or(|recovery| recovery > RECOVERY_LIMIT) {
            let first = match self.recovery {
                Some(recovery) => format!("only after {:.1} s", recovery.as_secs_f64()),
                None => format!("not within {} s", crate::run::WELL_LIMIT.as_secs()),
            };
            let promise = "All is well again within 10 s of the fault's end";
            broken.push(Broken { promise, times: 1, first });
        }
    }

    fn judge_wanted(&self, broken: &mut Vec<Broken>) {
        let (from, to) = self.faulty;
        for (wanted, asked, served, refused) in [
            (self.fault.writes, &WRITES[..], SERVED_WRITES, REFUSED_WRITES),
            (self.fault.checks, &CHECKS[..], SERVED_CHECKS, REFUSED_CHECKS),
        ] {
            let meanwhile = || {
                let of_kind = self.log.iter().filter(|it| asked.contains(&it.asked));
                of_kind.filter(|it| it.began >= from && it.ended < to)
            };
            let is_503 = |operation: &&Operation| operation.status() == Some(503);
            let none = |promise| Broken { promise, times: 1, first: "none was".to_owned() };
            match wanted {
                Wanted::Served => {
                    let is_broken = |it: &&Operation| is_failure(it) && !self.is_throttled(it);
                    note(broken, served, meanwhile().filter(is_broken));
                }
                Wanted::Refused if meanwhile().filter(is_503).count() == 0 => {
                    broken.push(none(refused));
                }
                Wanted::Either if !meanwhile().any(|it| it.status() == Some(200)) => {
                    broken.push(none(served));
                }
                Wanted::Refused | Wanted::Either => {}
            }
        }
    }

    fn columns(&self) -> (Duration, Vec<Column>) {
        let width = (self.end / COLUMNS_MAX).max(COLUMN_MIN);
        let place_of = |at: Duration| (at.as_nanos() / width.as_nanos()).try_into().ok();
        let count: usize = place_of(self.end).unwrap_or(0);
        let mut columns = vec![Column::default(); count + 1];
        for operation in self.log {
            let place: Option<usize> = place_of(operation.began);
            let Some(column) = place.and_then(|place| columns.get_mut(place)) else { continue };
            match operation.status() {
                Some(200 | 401 | 403) => column.served += 1,
                Some(503) => column.refused += 1,
                Some(_) | None => column.failed += 1,
            }
            if !self.slept_through(operation) {
                column.worst = column.worst.max(Some(operation.took()));
            }
        }
        (width, columns)
    }
}

const SERVED_WRITES: &str = "Logins, logouts and exchanges of tokens are served";
const SERVED_CHECKS: &str = "Session checks are served";
const REFUSED_WRITES: &str = "Logins and logouts that cannot be kept are told 503";
const REFUSED_CHECKS: &str = "Session checks that cannot be answered are told 503";

fn note<'o>(
    broken: &mut Vec<Broken>,
    promise: &'static str,
    mut seen: impl Iterator<Item = &'o Operation>,
) {
    if let Some(first) = seen.next() {
        broken.push(Broken { promise, times: 1 + seen.count(), first: format!("{first:?}") });
    }
}

/// What a kind of the judge's says in the words of the promise.
fn promise_of(kind: &str) -> &'static str {
    match kind {
        "lost" => "An acknowledged login stays valid",
        "revoked_accepted" => "An acknowledged logout is never undone",
        "wrong_identity" => "Nobody is taken for somebody else",
        "unjust_401" => "A right password is never told to be wrong",
        "http_500" => "No failure becomes a 500",
        "careless_503" => "A 503 says when to come back, and leaves the cookie alone",
        _ => "Every answer is one that the interface knows",
    }
}

impl Fault {
    /// Which server sleeps while it lasts.
    pub(crate) const fn asleep(&self) -> Option<usize> {
        match self.act {
            Act::PauseNode => Some(crate::run::ASLEEP),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
