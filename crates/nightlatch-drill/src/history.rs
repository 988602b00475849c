//! What clients asked and what they were told, and whether it can all be true.
//!
//! The judge of every fault is the clients' own log: it knows nothing of how the server works, only
//! what the server has promised. An operation has a beginning and an end; where two overlap, any
//! order between them is allowed, and where there was no answer, both outcomes are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// A new session.
    LogIn,
    /// Whose session it is.
    Check,
    /// The session's end.
    LogOut,
    /// Another password, which ends every other session of the user.
    ChangePassword,
    /// Whether its access token is good.
    Verify,
    /// The next pair of tokens.
    Exchange,
}

/// A session in the log. They are numbered as they come.
pub type SessionNumber = usize;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer.
    Answered(Told),
    /// The connection ended first: it may have been done or not.
    Lost,
}

/// An answer, as far as it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The problem's code, or nothing.
    pub code: String,
    /// Whether it says when to come back.
    pub says_when: bool,
    /// Whether it touches the session cookie.
    pub touches_cookie: bool,
    /// Whose session it says it is.
    pub username: Option<String>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What was asked for.
    pub asked: Asked,
    /// By whom.
    pub username: String,
    /// With which session; that of a login or a password change is the new one, if it made one.
    pub session: Option<SessionNumber>,
    /// Whether the client knows that its password is the right one.
    pub is_password_known: bool,
    /// When it was sent, since the log began.
    pub began: Duration,
    /// When the answer came, or the connection ended.
    pub ended: Duration,
    /// Which of several servers was asked.
    pub node: usize,
    /// Which start of it.
    pub start: u32,
    /// What came back.
    pub outcome: Outcome,
}

impl Operation {
    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.outcome {
            Outcome::Answered(told) => Some(told.status),
            Outcome::Lost => None,
        }
    }

    /// How long it took.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.ended.saturating_sub(self.began)
    }

    /// Whether it asks for nothing to be changed.
    #[must_use]
    pub const fn is_check(&self) -> bool {
        matches!(self.asked, Asked::Check | Asked::Verify)
    }

    fn is_pending(&self) -> bool {
        matches!(&self.outcome, Outcome::Answered(told) if told.code == "logout_pending")
    }
}

/// How long an end may take to be in force on the other nodes that reach the record.
pub const SPREAD_MAX: Duration = Duration::from_secs(2);

/// What happened beside the log, as far as it excuses what was told.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// When which nodes did not reach the record.
    pub cut_off: Vec<CutOff>,
    /// A span of which the record has lost what was written: logins and password changes of then
    /// may be gone. Ends may not: a node that lives remembers them.
    pub lost_writes: Option<(Duration, Duration)>,
    /// When time went on by more than access tokens live: those of before are over, their sessions are not.
    pub slept: Option<Duration>,
    /// Whether a proxy chooses who answers: what one was told, another may answer for.
    pub behind_proxy: bool,
}

/// A node without the record.
#[derive(Clone, Copy, Debug)]
pub struct CutOff {
    /// Which.
    pub node: usize,
    /// From when on.
    pub from: Duration,
    /// Until it was back.
    pub to: Duration,
}

impl Circumstances {
    /// When an end that `node` was told at `at` is in force on the node `other`.
    fn heard_by(&self, other: usize, (node, at): (usize, Duration)) -> Duration {
        if node == other && !self.behind_proxy {
            return at;
        }
        let mut spans: Vec<&CutOff> = self.cut_off.iter().filter(|cut| cut.node == other).collect();
        spans.sort_by_key(|cut| cut.from);
        spans.iter().fold(at + SPREAD_MAX, |by, cut| {
            let in_the_way = cut.from < by && cut.to > at;
            if in_the_way { by.max(cut.to + SPREAD_MAX) } else { by }
        })
    }

    fn may_have_lost(&self, operation: &Operation) -> bool {
        self.lost_writes.is_some_and(|(from, to)| operation.ended >= from && operation.began <= to)
    }
}

/// Everything that cannot be true if the server keeps its promises. Each line says what was seen.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// A session that nobody ended was told to be none.
    pub lost: Vec<String>,
    /// A session was accepted after its end had been acknowledged.
    pub revoked_accepted: Vec<String>,
    /// A session was told to be somebody else's.
    pub wrong_identity: Vec<String>,
    /// 401 for a password that is right.
    pub unjust_401: Vec<String>,
    /// 500, which means a bug.
    pub internal_error: Vec<String>,
    /// 503 that touched the session cookie, or did not say when to come back.
    pub careless_503: Vec<String>,
    /// A status that nothing here explains.
    pub unexplained: Vec<String>,
}

impl Judgement {
    /// Whether nothing was seen that cannot be true.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.all().iter().all(|(_, lines)| lines.is_empty())
    }

    /// Each kind with what was seen.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &[String]); 7] {
        [
            ("lost", &self.lost),
            ("revoked_accepted", &self.revoked_accepted),
            ("wrong_identity", &self.wrong_identity),
            ("unjust_401", &self.unjust_401),
            ("http_500", &self.internal_error),
            ("careless_503", &self.careless_503),
            ("unexplained", &self.unexplained),
        ]
    }
}

/// Judges a log of servers that always reached their record. The order of its operations does not
/// matter.
#[must_use]
pub fn judge(log: &[Operation]) -> Judgement {
    judge_under(log, &Circumstances::default())
}

/// Judges a log, knowing what happened beside it.
#[must_use]
pub fn judge_under(log: &[Operation], circumstances: &Circumstances) -> Judgement {
    let mut judgement = Judgement::default();
    let changes = log.iter().filter(|operation| operation.asked == Asked::ChangePassword);
    let unsure: BTreeSet<&str> = changes
        .filter(|change| circumstances.may_have_lost(change))
        .map(|change| change.username.as_str())
        .collect();
    for operation in log {
        judge_alone(operation, &unsure, &mut judgement);
    }
    let mut sessions: BTreeMap<SessionNumber, Vec<&Operation>> = BTreeMap::new();
    let of_programs = pairs_of_programs(log);
    for operation in log.iter().filter(|used| says_of_session(used, &of_programs, circumstances)) {
        if let Some(session) = operation.session {
            sessions.entry(session).or_default().push(operation);
        }
    }
    for (number, used) in &sessions {
        let Some(birth) = used.iter().find(|used| makes_session(used)) else { continue };
        let life = Life::of(*number, birth, used, log);
        judge_session(&life, circumstances, used, &mut judgement);
    }
    judgement
}

/// Of each session that has tokens what gave it a pair, or may have.
fn pairs_of_programs(log: &[Operation]) -> BTreeMap<SessionNumber, Vec<&Operation>> {
    let mut pairs: BTreeMap<SessionNumber, Vec<&Operation>> = BTreeMap::new();
    let is_use = |used: &&Operation| matches!(used.asked, Asked::Verify | Asked::Exchange);
    for session in log.iter().filter(is_use).filter_map(|used| used.session) {
        pairs.entry(session).or_default();
    }
    for operation in log {
        let gives = matches!(operation.asked, Asked::LogIn | Asked::Exchange)
            && matches!(operation.status(), Some(200) | None);
        if let Some(session) = operation.session.filter(|_| gives)
            && let Some(pairs) = pairs.get_mut(&session)
        {
            pairs.push(operation);
        }
    }
    pairs
}

/// Clocks that are moved are seen to move so long after.
const MOVES_WITHIN: Duration = Duration::from_secs(2);

/// Whether an answer says anything of the session, not of a token alone that is none any more.
fn says_of_session(
    operation: &Operation,
    of_programs: &BTreeMap<SessionNumber, Vec<&Operation>>,
    circumstances: &Circumstances,
) -> bool {
    let pairs = operation.session.and_then(|session| of_programs.get(&session));
    let Some(pairs) = pairs.filter(|_| operation.status() == Some(401)) else { return true };
    match operation.asked {
        // The record goes back over one exchange, and knows what followed it; not over two.
        Asked::Exchange => {
            let lost = pairs.iter().filter(|pair| circumstances.may_have_lost(pair)).count();
            lost < 2
        }
        Asked::Check | Asked::Verify | Asked::LogOut => circumstances.slept.is_none_or(|slept| {
            let before = pairs.iter().filter(|pair| pair.ended <= operation.began);
            let newest = before.map(|pair| pair.began).max();
            newest.is_some_and(|newest| newest > slept + MOVES_WITHIN)
        }),
        Asked::LogIn | Asked::ChangePassword => true,
    }
}

fn makes_session(operation: &Operation) -> bool {
    matches!(operation.asked, Asked::LogIn | Asked::ChangePassword)
        && operation.status() == Some(200)
}

/// What an answer says about itself, whatever was before it, unless which password the user has is
/// unsure.
fn judge_alone(operation: &Operation, unsure: &BTreeSet<&str>, judgement: &mut Judgement) {
    let Outcome::Answered(told) = &operation.outcome else { return };
    let line = || format!("{operation:?}");
    match told.status {
        200 => {
            let other = told.username.as_ref().filter(|name| **name != operation.username);
            if other.is_some() {
                judgement.wrong_identity.push(line());
            }
        }
        401 if operation.asked == Asked::LogIn => {
            if operation.is_password_known && !unsure.contains(operation.username.as_str()) {
                judgement.unjust_401.push(line());
            }
        }
        403 if operation.asked == Asked::ChangePassword
            && (!operation.is_password_known || unsure.contains(operation.username.as_str())) => {}
        500 => judgement.internal_error.push(line()),
        503 if told.touches_cookie || !told.says_when => judgement.careless_503.push(line()),
        401 | 503 => {}
        // Of an auth service; of 502 nobody knows when it ends.
        502 | 504 if operation.asked == Asked::LogIn && told.code.starts_with("upstream_") => {}
        _ => judgement.unexplained.push(line()),
    }
}

/// What is known of a session's end.
struct Life<'l> {
    birth: &'l Operation,
    /// From when on somebody may have ended it.
    may_be_over_from: Option<Duration>,
    /// Ends that were acknowledged.
    over: Vec<&'l Operation>,
    /// Ends that were told to be pending: the node that said so refuses it.
    pending: Vec<&'l Operation>,
    /// When it was told to be none.
    gone: Vec<&'l Operation>,
}

impl<'l> Life<'l> {
    fn of(
        number: SessionNumber,
        birth: &'l Operation,
        used: &[&'l Operation],
        log: &'l [Operation],
    ) -> Self {
        let is_other_change = |operation: &&Operation| {
            operation.asked == Asked::ChangePassword
                && operation.username == birth.username
                && operation.session != Some(number)
                && operation.ended > birth.began
        };
        let logouts = used.iter().copied().filter(|used| used.asked == Asked::LogOut);
        // A refused change has changed nothing.
        let changes = log
            .iter()
            .filter(is_other_change)
            .filter(|change| !matches!(change.status(), Some(401 | 403)));
        let ends: Vec<&Operation> = logouts.chain(changes).collect();
        let is_over = |end: &&&Operation| end.status() == Some(200) && end.began >= birth.ended;
        Self {
            birth,
            may_be_over_from: ends.iter().map(|end| end.began).min(),
            over: ends.iter().filter(is_over).copied().collect(),
            pending: ends.iter().filter(|end| end.is_pending()).copied().collect(),
            gone: used.iter().copied().filter(|used| used.status() == Some(401)).collect(),
        }
    }

    /// Why nobody may be let in by `check`, if so.
    fn why_over(&self, check: &Operation, circumstances: &Circumstances) -> Option<&'static str> {
        let began = check.began;
        let is_heard =
            |end: &&&Operation| began > circumstances.heard_by(check.node, (end.node, end.ended));
        if let Some(end) = self.over.iter().find(is_heard) {
            let here = end.node == check.node;
            return Some(if here { HERE } else { ELSEWHERE });
        }
        let same_run = |other: &Operation| (other.node, other.start) == (check.node, check.start);
        if self.pending.iter().any(|end| began > end.ended && same_run(end)) {
            return Some("this node had said that its end is pending");
        }
        // A node that died with a pending end may have been the only one to know of it.
        let sticks = |gone: &&&Operation| self.pending.is_empty() || same_run(gone);
        let was_gone = self.gone.iter().filter(sticks).any(|gone| is_heard(&gone));
        was_gone.then_some("it was told to be none before")
    }
}

const HERE: &str = "its end was acknowledged";
const ELSEWHERE: &str = "its end was acknowledged on another node, over 2 s ago";

fn judge_session(
    life: &Life<'_>,
    circumstances: &Circumstances,
    used: &[&Operation],
    judgement: &mut Judgement,
) {
    for operation in used {
        match (operation.asked, operation.status()) {
            (Asked::Check | Asked::Verify | Asked::Exchange, Some(200)) => {
                if let Some(why) = life.why_over(operation, circumstances) {
                    judgement.revoked_accepted.push(format!("{why}: {operation:?}"));
                }
            }
            (Asked::Check | Asked::Verify | Asked::Exchange | Asked::LogOut, Some(401)) => {
                // A logout's own beginning does not excuse its answer.
                let excused = match operation.asked {
                    Asked::LogOut => life.may_be_over_from.is_some_and(|at| at < operation.began),
                    _ => life.may_be_over_from.is_some_and(|at| at < operation.ended),
                };
                if !excused && !circumstances.may_have_lost(life.birth) {
                    judgement.lost.push(format!("{operation:?}"));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
