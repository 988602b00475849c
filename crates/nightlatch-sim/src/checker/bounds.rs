//! What is bounded: how old a copy may be, how long an answer or a recovery takes (I7), and that an
//! outage within those bounds is not noticed (I1).

use std::time::Duration;

use super::{Violation, broken};
use crate::client::{CHECK_DEADLINE, LOGIN_DEADLINE, REQUEST_DEADLINE};
use crate::history::{Action, Given, Op, OpId, Outcome, Trouble};
use crate::model::{Model, REGAINS_TOUCH, Use, login_of};

/// Between the deadline and the answer.
const ANSWER_TAKES: Duration = Duration::from_millis(50);

/// Differences between clocks, and the rounding of timers.
const ROUNDING: Duration = Duration::from_millis(50);

/// Service is back so long after a fault has ended.
const RECOVERS_WITHIN: Duration = Duration::from_secs(5);

/// So long after the record was lost from sight everybody knows it.
const NOTICES_WITHIN: Duration = Duration::from_secs(3);

/// So often a login is tried again before it gives up.
const LOGIN_ROUNDS: usize = 3;

/// A node without traffic looks at the feed this often: a copy may be that much older when the
/// record goes away.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(5);

/// A node that has not reached the record for longer than the bound serves nothing from a copy, and
/// one that was started meanwhile serves nothing at all.
pub(super) fn no_copy_outlives_the_staleness_bound(
    model: &Model<'_>,
    violations: &mut Vec<Violation>,
) {
    for accepted in model.acceptances() {
        let (began, ended) = (accepted.op.began.at, accepted.ended.at);
        let since = began.saturating_sub(model.setting.staleness + ROUNDING);
        let born = model.born_at(accepted.op.life);
        let node = accepted.op.node;
        let is_too_old = began > since + model.setting.staleness
            && model.lasted(node, Trouble::CutOff, since, ended);
        // Those that begin with the world have asked before anything befell them.
        let knows_nothing =
            born > Duration::ZERO && model.lasted(node, Trouble::CutOff, born, ended);
        if is_too_old || knows_nothing {
            let text = format!("session {} was good without the record", accepted.session.0);
            violations.push(broken("staleness bound", &text, &[accepted.id]));
        }
    }
}

/// Within the bound, an outage of the record is not noticed by somebody whom the node knows.
pub(super) fn copies_bridge_an_outage(model: &Model<'_>, violations: &mut Vec<Violation>) {
    let may_miss = !model.history.forks.is_empty()
        || !model.setting.remembers_all()
        || model.setting.idle_timeout.is_some();
    if may_miss {
        return;
    }
    for (id, op) in model.ops() {
        let (
            Action::Check { session } | Action::Verify { session, .. },
            Some((ended, Outcome::Unavailable)),
        ) = (op.action, op.ended)
        else {
            continue;
        };
        let request = Use { id, op, session, ended };
        if let Some(seen) = last_accepted(model, request)
            && is_bridged(model, request, seen)
            && !was_touched(model, session, seen, op)
        {
            let text = format!("session {} was not served from its copy", session.0);
            violations.push(broken("I1 an outage is bridged", &text, &[id, seen]));
        }
    }
}

/// When the node has last served the session, in the same life: by the same access token, if it is to be
/// judged by itself.
fn last_accepted(model: &Model<'_>, request: Use<'_>) -> Option<OpId> {
    let same = |other: &Use<'_>| {
        (other.op.life, other.session) == (request.op.life, request.session)
            && other.ended.is_before(request.op.began)
            && is_verification(other.op) == is_verification(request.op)
            && (!is_verification(other.op) || other.op.shown == request.op.shown)
            // The record was asked for that one, whatever is known here.
            && !matches!(other.op.action, Action::Refresh { .. })
    };
    model.acceptances().filter(same).last().map(|other| other.id)
}

const fn is_verification(op: &Op) -> bool {
    matches!(op.action, Action::Verify { .. })
}

/// Whether the record is away for so long that it is known, and not so long that the copy is stale.
fn is_bridged(model: &Model<'_>, request: Use<'_>, seen: OpId) -> bool {
    let node = request.op.node;
    let from = request.op.began.at.saturating_sub(NOTICES_WITHIN);
    let until = request.ended.at;
    let cuts = model.history.troubles.iter().filter(|troubled| {
        troubled.node == node
            && troubled.trouble == Trouble::CutOff
            && troubled.from <= from
            && troubled.to.is_none_or(|to| to > until)
    });
    let Some(cut) = cuts.map(|cut| cut.from).max() else { return false };
    let seen_at = model.op(seen).began.at;
    let calm = cut.saturating_sub(IDLE_LOOK_EVERY + REGAINS_TOUCH);
    let others = model.history.troubles.iter().filter(|troubled| troubled.node == node);
    let mut others = others.filter(|troubled| troubled.from != cut);
    let is_alone =
        others.all(|troubled| troubled.to.is_some_and(|to| to < calm) || troubled.from > until);
    let is_fresh = until < calm + model.setting.staleness;
    let no_prune = !model.history.prunes.iter().any(|at| *at >= calm && *at <= until);
    is_alone && is_fresh && no_prune && seen_at < cut && seen_at > calm
}

/// Whether anything was done that the copy of a session may not outlive.
fn was_touched(model: &Model<'_>, session: Given, seen: OpId, until: &Op) -> bool {
    let since = model.op(seen).began;
    let person = model.session(session).person;
    let mut ops = model.ops().filter(|(_, op)| op.began.is_before(until.began));
    let refetches = ops.any(|(_, op)| {
        let is_late = op.ended.is_none_or(|(ended, _)| since.is_before(ended));
        let aims = match op.action {
            Action::SetGroup { person: whose, .. } | Action::Enable { person: whose } => {
                whose == person
            }
            Action::RevokeEverything => true,
            _ => false,
        };
        is_late && aims
    });
    refetches || model.ends_of(session).any(|(_, end)| end.began.is_before(until.began))
}

/// A node in reach of the record answers, again so long after its troubles.
pub(super) fn service_is_back_within_seconds(model: &Model<'_>, violations: &mut Vec<Violation>) {
    for (id, op) in model.ops() {
        let Some((ended, Outcome::Unavailable)) = op.ended else { continue };
        let from = op.began.at.saturating_sub(RECOVERS_WITHIN);
        let is_well = model.born_at(op.life) < from
            && model.is_well(op.node, from, ended.at)
            && !model.forked_within(from, ended.at);
        if is_well && !is_overtaken(model, op) && !model.may_be_late(id) {
            violations.push(broken("I7 recovery", "no answer though all was well", &[id]));
        }
    }
}

/// A login whose user's credentials change again and again while it is under way is told to come
/// back.
fn is_overtaken(model: &Model<'_>, op: &Op) -> bool {
    let Some((person, _)) = login_of(op.action) else { return false };
    let raises = |other: &Op| match other.action {
        Action::RevokeAll { person: whose } | Action::Disable { person: whose } => whose == person,
        Action::ChangePassword { session, .. } => model.session(session).person == person,
        Action::RevokeEverything => true,
        _ => false,
    };
    let within = |other: &Op| other.effect.is_some_and(|at| op.began.is_before(at));
    model.ops().filter(|(_, other)| raises(other) && within(other)).count() >= LOGIN_ROUNDS
}

/// Every request has an answer by its deadline, while its node runs.
pub(super) fn everything_is_answered_in_time(model: &Model<'_>, violations: &mut Vec<Violation>) {
    for (id, op) in model.ops() {
        let lived = model.history.lives[op.life.0];
        let ended = op.ended.map(|(ended, _)| ended.at);
        // Whoever was killed in the middle owes no answer.
        let until = ended.or(lived.to).unwrap_or(Duration::MAX);
        let due = op.began.at + deadline(op.action) + ANSWER_TAKES;
        let was_suspended = model.history.troubles.iter().any(|troubled| {
            troubled.node == op.node
                && troubled.trouble == Trouble::Suspended
                && troubled.from <= until
                && troubled.to.is_none_or(|to| to >= op.began.at)
        });
        if until > due && !was_suspended {
            violations.push(broken("I7 deadlines", "an answer came late, or never", &[id]));
        }
    }
}

const fn deadline(action: Action) -> Duration {
    match action {
        Action::Check { .. } | Action::Verify { .. } => CHECK_DEADLINE,
        Action::Login { .. } | Action::LoginForTokens { .. } | Action::ChangePassword { .. } => {
            LOGIN_DEADLINE
        }
        Action::Refresh { .. }
        | Action::Logout { .. }
        | Action::Revoke { .. }
        | Action::RevokeOthers { .. }
        | Action::RevokeAll { .. }
        | Action::RevokeEverything
        | Action::Disable { .. }
        | Action::Enable { .. }
        | Action::SetGroup { .. } => REQUEST_DEADLINE,
    }
}

/// Whoever waits for news of the feed waits for the same look: the record is not asked by each.
pub(super) fn one_look_at_a_time(model: &Model<'_>, violations: &mut Vec<Violation>) {
    if model.history.looks_at_once_max > 1 {
        violations.push(broken("I7 one look at a time", "several looks at once", &[]));
    }
}
