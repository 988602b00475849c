//! The simple truth that answers are compared with: what ended which session, what the record lost,
//! and whether a node was in touch with it.
//!
//! Derived from the history, by what the promises say; how a node comes to its answers is not known
//! here.

use std::time::Duration;

use crate::accelerator::{Faith, GOOD_NEWS_WITHIN};
use crate::clock::record_time;
use crate::fault::Setting;
use crate::history::{
    Action, Fork, Given, GivenSession, History, Life, Moment, NodeId, Op, OpId, Outcome,
    PasswordNo, Person, Trouble,
};

/// In this time a revocation reaches every other node that reaches the record.
pub(crate) const SPREAD_MAX: Duration = Duration::from_secs(2);

/// A question that was on its way when a trouble ended may hang so long before there is another.
pub(crate) const REGAINS_TOUCH: Duration = Duration::from_secs(1);

/// In this time a node that is in touch with the record writes back what it has lost.
pub(crate) const WRITES_BACK_WITHIN: Duration = Duration::from_secs(10);

/// How far clocks may be apart before anybody notices.
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// A history with what it means.
pub(crate) struct Model<'a> {
    pub(crate) history: &'a History,
    pub(crate) setting: &'a Setting,
    /// Of each session the operations that were to end it, or may have.
    ends: Vec<Vec<OpId>>,
}

/// A request that was answered from a session.
#[derive(Clone, Copy)]
pub(crate) struct Use<'a> {
    pub(crate) id: OpId,
    pub(crate) op: &'a Op,
    pub(crate) session: Given,
    pub(crate) ended: Moment,
}

impl<'a> Model<'a> {
    pub(crate) fn new(history: &'a History, setting: &'a Setting) -> Self {
        let mut model = Self { history, setting, ends: Vec::new() };
        let sessions = (0..history.sessions.len()).map(Given);
        model.ends = sessions
            .map(|given| {
                model.ops().filter(|(id, _)| model.aims_at(*id, given)).map(|(id, _)| id).collect()
            })
            .collect();
        model
    }

    pub(crate) fn ops(&self) -> impl Iterator<Item = (OpId, &'a Op)> + Clone + use<'a> {
        self.history.ops.iter().enumerate().map(|(number, op)| (OpId(number), op))
    }

    pub(crate) fn op(&self, id: OpId) -> &'a Op {
        &self.history.ops[id.0]
    }

    pub(crate) fn session(&self, given: Given) -> &'a GivenSession {
        &self.history.sessions[given.0]
    }

    /// When the record was told of the session.
    pub(crate) fn born(&self, given: Given) -> Moment {
        let born = self.op(self.session(given).born).effect;
        born.expect("nobody is given a session that the record was not told of")
    }

    /// Requests for which a session was found to be good.
    pub(crate) fn acceptances(&self) -> impl Iterator<Item = Use<'a>> + use<'a> {
        self.ops().filter_map(|(id, op)| {
            let (ended, outcome) = op.ended?;
            let (Action::Check { session }
            | Action::Verify { session, .. }
            | Action::Refresh { session, .. }
            | Action::RevokeOthers { kept: session }
            | Action::ChangePassword { session, .. }) = op.action
            else {
                return None;
            };
            let is_good = matches!(
                outcome,
                Outcome::Accepted { .. }
                    | Outcome::Verified
                    | Outcome::Refreshed(_)
                    | Outcome::Done
                    | Outcome::LoggedIn(_)
            );
            if !is_good {
                return None;
            }
            Some(Use { id, op, session, ended })
        })
    }

    /// Requests for which a session was said to be none. That an access token is over says nothing of
    /// its session.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = Use<'a>> + use<'a> {
        let pairs = &self.history.pairs;
        self.ops().filter_map(move |(id, op)| {
            let (ended, outcome) = op.ended?;
            let session = presented(op.action)?;
            let may_be_over = op.shown.is_some_and(|pair| {
                record_time(ended.at).after(CLOCK_TOLERANCE) >= pairs[pair.0].access_expires_at
            });
            let is_refusal = outcome == Outcome::Refused && !may_be_over;
            is_refusal.then_some(Use { id, op, session, ended })
        })
    }

    /// The operations that were to end a session, or may have.
    pub(crate) fn ends_of(&self, given: Given) -> impl Iterator<Item = (OpId, &'a Op)> {
        self.ends[given.0].iter().map(|id| (*id, &self.history.ops[id.0]))
    }

    /// Whether it names the session, or its person or everybody while the session was there.
    fn aims_at(&self, id: OpId, given: Given) -> bool {
        let session = self.session(given);
        let op = self.op(id);
        let was_there = || op.effect.is_some_and(|effect| self.born(given).is_before(effect));
        match op.action {
            Action::Logout { session } | Action::Revoke { session } => session == given,
            Action::Login { earlier, .. } => earlier == Some(given) && op.effect.is_some(),
            Action::Refresh { session, .. } => session == given && self.may_have_reused(id),
            Action::RevokeOthers { kept } => {
                let is_other = kept != given && self.session(kept).person == session.person;
                is_other && was_there()
            }
            Action::ChangePassword { session: own, .. } => {
                self.session(own).person == session.person && session.born != id && was_there()
            }
            Action::RevokeAll { person } | Action::Disable { person } => {
                person == session.person && was_there()
            }
            Action::RevokeEverything => was_there(),
            Action::LoginForTokens { .. }
            | Action::Check { .. }
            | Action::Verify { .. }
            | Action::Enable { .. }
            | Action::SetGroup { .. } => false,
        }
    }

    /// The fork that took back, before `by`, what took effect at a moment.
    pub(crate) fn lost(&self, effect: Moment, by: Moment) -> Option<Fork> {
        self.history.forks.iter().copied().find(|fork| {
            fork.back_to.is_before(effect) && effect.is_before(fork.at) && fork.at.is_before(by)
        })
    }

    pub(crate) fn last_fork(&self, before: Moment) -> Option<Fork> {
        self.history.forks.iter().copied().rfind(|fork| fork.at.is_before(before))
    }

    pub(crate) fn forked_within(&self, from: Duration, to: Duration) -> bool {
        self.history.forks.iter().any(|fork| fork.at.at >= from && fork.at.at <= to)
    }

    /// Whether a node lived and had no trouble.
    pub(crate) fn is_well(&self, node: NodeId, from: Duration, to: Duration) -> bool {
        self.has_none_of(node, (from, to), |_| true)
    }

    fn has_none_of(
        &self,
        node: NodeId,
        (from, to): (Duration, Duration),
        which: impl Fn(Trouble) -> bool,
    ) -> bool {
        !self.history.troubles.iter().any(|troubled| {
            troubled.node == node
                && which(troubled.trouble)
                && troubled.from <= to
                && troubled.to.is_none_or(|ended| ended >= from)
        })
    }

    /// Whether a node has been in touch with the record for so long before and during a request
    /// that it has heard of everything that is older than [`SPREAD_MAX`].
    pub(crate) fn is_in_touch(&self, request: Use<'_>) -> bool {
        let from = request.op.began.at.saturating_sub(SPREAD_MAX + REGAINS_TOUCH);
        self.has_none_of(request.op.node, (from, request.ended.at), |trouble| {
            trouble != Trouble::Slow
        })
    }

    /// Whether the node that was asked has been told by the other what that had ended: whatever it
    /// reaches of the record, it knows.
    pub(crate) fn is_told(&self, end: &Op, request: Use<'_>) -> bool {
        let Some(told) = acknowledged(end) else { return false };
        let is_awake = |node| {
            self.has_none_of(node, (end.began.at, request.ended.at), |trouble| {
                matches!(trouble, Trouble::Suspended | Trouble::Dead)
            })
        };
        self.setting.accelerator == Some(Faith::Good)
            && self.setting.remembers_all()
            && self.history.forks.is_empty()
            && told.at + GOOD_NEWS_WITHIN < request.op.began.at
            && is_awake(end.node)
            && is_awake(request.op.node)
    }

    /// Whether a trouble of one kind lasted all the while.
    pub(crate) fn lasted(
        &self,
        node: NodeId,
        trouble: Trouble,
        from: Duration,
        to: Duration,
    ) -> bool {
        self.history.troubles.iter().any(|troubled| {
            (troubled.node, troubled.trouble) == (node, trouble)
                && troubled.from <= from
                && troubled.to.is_none_or(|ended| ended > to)
        })
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> + Clone + use<> {
        (0..self.setting.skews.len()).map(NodeId)
    }

    pub(crate) fn born_at(&self, life: Life) -> Duration {
        self.history.lives[life.0].from
    }

    /// Whether a life that knows something had the time to write it back after the last fork, and
    /// the others to hear of it, before a moment.
    pub(crate) fn was_written_back(&self, life: Life, known: Moment, by: Moment) -> bool {
        let lived = self.history.lives[life.0];
        let since = self.last_fork(by).map_or(known.at, |fork| fork.at.at).max(known.at);
        let spread = SPREAD_MAX + REGAINS_TOUCH;
        let until = lived.to.unwrap_or(Duration::MAX).min(by.at.saturating_sub(spread));
        // From the fork on, or from the end of any trouble after it.
        let troubles = self.history.troubles.iter().filter(|troubled| troubled.node == lived.node);
        let begins = troubles.filter_map(|troubled| troubled.to).filter(|to| *to > since);
        let mut begins = begins.chain([since]);
        begins.any(|from| {
            let to = from + REGAINS_TOUCH + WRITES_BACK_WITHIN;
            to <= until && self.is_well(lived.node, from + Duration::from_nanos(1), to)
        })
    }

    /// Whether a node heard of what took effect at a moment before that was lost.
    pub(crate) fn heard(&self, life: Life, effect: Moment, lost: Fork) -> bool {
        let lived = self.history.lives[life.0];
        let heard = effect.at + SPREAD_MAX + REGAINS_TOUCH;
        lived.from + REGAINS_TOUCH <= effect.at
            && heard < lost.at.at
            && lived.to.is_none_or(|died| died > heard)
            && self.is_well(lived.node, effect.at.saturating_sub(REGAINS_TOUCH), heard)
    }

    pub(crate) fn lives(&self) -> impl Iterator<Item = Life> {
        (0..self.history.lives.len()).map(Life)
    }

    /// When anybody last used a session before a moment, as far as those who were asked know.
    pub(crate) fn last_use(&self, given: Given, before: Moment) -> Duration {
        let uses = self.acceptances().filter(|request| request.session == given);
        let uses = uses.filter(|request| request.ended.is_before(before));
        uses.map(|request| request.ended.at).max().unwrap_or_else(|| self.born(given).at)
    }
}

/// The session that somebody shows, or names, to a node.
pub(crate) const fn presented(action: Action) -> Option<Given> {
    match action {
        Action::Check { session }
        | Action::Verify { session, .. }
        | Action::Refresh { session, .. }
        | Action::Logout { session }
        | Action::Revoke { session }
        | Action::RevokeOthers { kept: session }
        | Action::ChangePassword { session, .. } => Some(session),
        Action::Login { .. }
        | Action::LoginForTokens { .. }
        | Action::RevokeAll { .. }
        | Action::RevokeEverything
        | Action::Disable { .. }
        | Action::Enable { .. }
        | Action::SetGroup { .. } => None,
    }
}

/// Who logs in with which password.
pub(crate) const fn login_of(action: Action) -> Option<(Person, PasswordNo)> {
    match action {
        Action::Login { person, password, .. } | Action::LoginForTokens { person, password } => {
            Some((person, password))
        }
        _ => None,
    }
}

/// Whether the answer says that the change is made, durably.
pub(crate) fn acknowledged(op: &Op) -> Option<Moment> {
    let (ended, outcome) = op.ended?;
    matches!(outcome, Outcome::Done | Outcome::LoggedIn(_) | Outcome::Reused).then_some(ended)
}

/// Whose password or right to log in an operation changes.
pub(crate) fn person_of(history: &History, action: Action) -> Option<Person> {
    match action {
        Action::Login { person, .. }
        | Action::LoginForTokens { person, .. }
        | Action::RevokeAll { person }
        | Action::Disable { person }
        | Action::Enable { person }
        | Action::SetGroup { person, .. } => Some(person),
        Action::Check { session }
        | Action::Verify { session, .. }
        | Action::Refresh { session, .. }
        | Action::Logout { session }
        | Action::Revoke { session }
        | Action::RevokeOthers { kept: session }
        | Action::ChangePassword { session, .. } => Some(history.sessions[session.0].person),
        Action::RevokeEverything => None,
    }
}
