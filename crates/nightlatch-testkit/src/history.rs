//! What clients asked and what they were told, and whether it can all be true.
//!
//! The judge of every fault is the clients' own log: it knows nothing of how the server works, only
//! what the server has promised. An operation has a beginning and an end; where two overlap, any
//! order between them is allowed, and where there was no answer, both outcomes are.

use std::collections::BTreeMap;
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
    /// Which start of the server was asked.
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

    fn is_pending(&self) -> bool {
        matches!(&self.outcome, Outcome::Answered(told) if told.code == "logout_pending")
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

/// Judges a log. The order of its operations does not matter.
#[must_use]
pub fn judge(log: &[Operation]) -> Judgement {
    let mut judgement = Judgement::default();
    for operation in log {
        judge_alone(operation, &mut judgement);
    }
    let mut sessions: BTreeMap<SessionNumber, Vec<&Operation>> = BTreeMap::new();
    for operation in log {
        if let Some(session) = operation.session {
            sessions.entry(session).or_default().push(operation);
        }
    }
    for (number, used) in &sessions {
        let Some(birth) = used.iter().find(|used| makes_session(used)) else { continue };
        judge_session(&Life::of(*number, birth, used, log), used, &mut judgement);
    }
    judgement
}

fn makes_session(operation: &Operation) -> bool {
    matches!(operation.asked, Asked::LogIn | Asked::ChangePassword)
        && operation.status() == Some(200)
}

/// What an answer says about itself, whatever was before it.
fn judge_alone(operation: &Operation, judgement: &mut Judgement) {
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
            if operation.is_password_known {
                judgement.unjust_401.push(line());
            }
        }
        401 => {}
        403 if operation.asked == Asked::ChangePassword && !operation.is_password_known => {}
        500 => judgement.internal_error.push(line()),
        503 => {
            if told.touches_cookie || !told.says_when {
                judgement.careless_503.push(line());
            }
        }
        _ => judgement.unexplained.push(line()),
    }
}

/// What is known of a session's end.
struct Life<'l> {
    /// From when on somebody may have ended it.
    may_be_over_from: Option<Duration>,
    /// From when on it is over, as somebody was told.
    over_from: Option<Duration>,
    /// Ends that were told to be pending: the node that said so refuses it.
    pending: Vec<(Duration, u32)>,
    /// When it was first told to be none, by which start of the server.
    gone: Vec<&'l Operation>,
}

impl<'l> Life<'l> {
    fn of(
        number: SessionNumber,
        birth: &Operation,
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
        let gone = used.iter().copied().filter(|used| used.status() == Some(401));
        Self {
            may_be_over_from: ends.iter().map(|end| end.began).min(),
            over_from: ends
                .iter()
                .filter(|end| end.status() == Some(200) && end.began >= birth.ended)
                .map(|end| end.ended)
                .min(),
            pending: ends
                .iter()
                .filter(|end| end.is_pending())
                .map(|end| (end.ended, end.start))
                .collect(),
            gone: gone.collect(),
        }
    }

    /// Why nobody may be let in by it at `began`, if so.
    fn why_over(&self, began: Duration, start: u32) -> Option<&'static str> {
        if self.over_from.is_some_and(|from| began > from) {
            return Some("its end was acknowledged");
        }
        if self.pending.iter().any(|(from, node)| began > *from && start == *node) {
            return Some("this node had said that its end is pending");
        }
        // A node that died with a pending end may have been the only one to know of it.
        let sticks = |gone: &&&Operation| start == gone.start || self.pending.is_empty();
        let was_gone = self.gone.iter().filter(sticks).any(|gone| began > gone.ended);
        was_gone.then_some("it was told to be none before")
    }
}

fn judge_session(life: &Life<'_>, used: &[&Operation], judgement: &mut Judgement) {
    for operation in used {
        match (operation.asked, operation.status()) {
            (Asked::Check, Some(200)) => {
                if let Some(why) = life.why_over(operation.began, operation.start) {
                    judgement.revoked_accepted.push(format!("{why}: {operation:?}"));
                }
            }
            (Asked::Check | Asked::LogOut, Some(401)) => {
                // A logout's own beginning does not excuse its answer.
                let excused = match operation.asked {
                    Asked::LogOut => life.may_be_over_from.is_some_and(|at| at < operation.began),
                    _ => life.may_be_over_from.is_some_and(|at| at < operation.ended),
                };
                if !excused {
                    judgement.lost.push(format!("{operation:?}"));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operation of the session 7 of alice.
    fn operation(asked: Asked, (began, ended): (u64, u64), status: u16) -> Operation {
        let told = Told { status, says_when: status == 503, ..Told::default() };
        Operation {
            asked,
            username: "alice".to_owned(),
            session: Some(7),
            is_password_known: true,
            began: Duration::from_millis(began),
            ended: Duration::from_millis(ended),
            start: 1,
            outcome: if status == 0 { Outcome::Lost } else { Outcome::Answered(told) },
        }
    }

    fn login() -> Operation {
        operation(Asked::LogIn, (0, 10), 200)
    }

    fn pending(at: (u64, u64)) -> Operation {
        let mut logout = operation(Asked::LogOut, at, 503);
        if let Outcome::Answered(told) = &mut logout.outcome {
            told.code = "logout_pending".to_owned();
        }
        logout
    }

    fn other_change(at: (u64, u64), status: u16) -> Operation {
        Operation { session: Some(8), ..operation(Asked::ChangePassword, at, status) }
    }

    /// What is wrong with a log, by the first word of each kind.
    fn found(log: &[Operation]) -> Vec<&'static str> {
        let judgement = judge(log);
        let kinds = judgement.all();
        kinds.iter().filter(|(_, lines)| !lines.is_empty()).map(|(kind, _)| *kind).collect()
    }

    #[test]
    fn each_broken_promise_is_found_and_nothing_else() {
        use Asked::{Check, LogOut};
        let check = |at, status| operation(Check, at, status);
        let logout = |at, status| operation(LogOut, at, status);
        let later = |mut operation: Operation| {
            operation.start = 2;
            operation
        };
        let nothing: &[&'static str] = &[];
        for (what, log, expected) in [
            ("served", vec![check((20, 21), 200)], nothing),
            ("unknown is no promise", vec![check((20, 21), 503), check((30, 31), 0)], nothing),
            ("lost", vec![check((20, 21), 401)], &["lost"]),
            ("lost at logout", vec![logout((20, 21), 401)], &["lost"]),
            ("ended", vec![logout((20, 30), 200), check((31, 32), 401)], nothing),
            ("undone", vec![logout((20, 30), 200), check((31, 32), 200)], &["revoked_accepted"]),
            ("beside the logout", vec![logout((20, 30), 200), check((29, 32), 200)], nothing),
            ("during the logout", vec![logout((20, 30), 200), check((22, 24), 401)], nothing),
            ("unknown, lives", vec![logout((20, 30), 0), check((31, 32), 200)], nothing),
            ("unknown, over", vec![logout((20, 30), 0), check((31, 32), 401)], nothing),
            (
                "unknown, over, and back",
                vec![logout((20, 30), 0), check((31, 32), 401), later(check((41, 42), 200))],
                &["revoked_accepted"],
            ),
            ("pending", vec![pending((20, 30)), check((31, 32), 200)], &["revoked_accepted"]),
            (
                "who knew of a pending end has died",
                vec![pending((20, 30)), check((31, 32), 401), later(check((41, 42), 200))],
                nothing,
            ),
            ("told twice", vec![logout((20, 30), 200), logout((31, 32), 401)], nothing),
            ("changed", vec![other_change((20, 30), 200), check((31, 32), 401)], nothing),
            (
                "changed and accepted",
                vec![other_change((20, 30), 200), check((31, 32), 200)],
                &["revoked_accepted"],
            ),
            ("change refused", vec![other_change((20, 30), 401), check((31, 32), 401)], &["lost"]),
            ("a bug", vec![check((20, 21), 500)], &["http_500"]),
            ("a riddle", vec![check((20, 21), 404)], &["unexplained"]),
        ] {
            let log: Vec<Operation> = [login()].into_iter().chain(log).collect();
            assert_eq!(found(&log), expected, "{what}");
        }
    }

    #[test]
    fn an_answer_is_judged_by_itself_too() {
        let told = |told: Told| Operation {
            outcome: Outcome::Answered(told),
            ..operation(Asked::LogIn, (20, 21), 0)
        };
        let known = told(Told { status: 401, ..Told::default() });
        assert_eq!(found(std::slice::from_ref(&known)), ["unjust_401"]);
        assert!(found(&[Operation { is_password_known: false, ..known }]).is_empty());
        let bob = Some("bob".to_owned());
        assert_eq!(
            found(&[told(Told { status: 200, username: bob, ..Told::default() })]),
            ["wrong_identity"]
        );
        assert_eq!(found(&[told(Told { status: 503, ..Told::default() })]), ["careless_503"]);
        let touched =
            Told { status: 503, says_when: true, touches_cookie: true, ..Told::default() };
        assert_eq!(found(&[told(touched)]), ["careless_503"]);
    }
}
