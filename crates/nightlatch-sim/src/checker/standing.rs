//! A login stands (I1), "no" is said only when it is known (I3), and nobody is taken for somebody
//! else.

use std::time::Duration;

use nightlatch_core::ACCESS_LEEWAY;

use super::{Violation, broken};
use crate::clock::record_time;
use crate::history::{Action, Given, Moment, Op, Outcome};
use crate::model::{CLOCK_TOLERANCE, Model, SPREAD_MAX, Use, WRITES_BACK_WITHIN, acknowledged};

/// Uses are noted this coarsely, and written this late: as documented for the idle timeout.
const LAST_USE_IS_COARSE_BY: Duration = Duration::from_secs(16);

/// Nobody is told 401 while their session is good.
pub(super) fn login_stands(model: &Model<'_>, violations: &mut Vec<Violation>) {
    for refused in model.refusals() {
        if !may_have_ended(model, refused) {
            let text = format!("session {} was refused, and had not ended", refused.session.0);
            let born = model.session(refused.session).born;
            violations.push(broken("I1 login stands", &text, &[refused.id, born]));
        }
    }
}

fn may_have_ended(model: &Model<'_>, refused: Use<'_>) -> bool {
    let given = refused.session;
    let born = model.born(given);
    let is_lost = model.lost(born, refused.ended).is_some();
    is_lost
        || model.ends_of(given).any(|(_, end)| may_have_happened(model, end, born, refused))
        || is_before_a_write_back(model, given, refused)
        || record_time(refused.ended.at).after(CLOCK_TOLERANCE) >= model.session(given).expires_at
        || may_be_idle(model, given, refused.ended)
        || model.is_beyond_the_record(refused)
}

/// Whether an operation that aims at the session may have reached the record, or its own node's
/// memory, before the refusal.
fn may_have_happened(model: &Model<'_>, end: &Op, born: Moment, refused: Use<'_>) -> bool {
    let is_under_way = end.began.is_before(refused.ended);
    match end.action {
        // Tried again and again in the background.
        Action::Logout { .. } | Action::Revoke { .. } => {
            is_under_way && end.began != refused.op.began
        }
        Action::ChangePassword { .. } if end.began == refused.op.began => false,
        _ => {
            let effect = end.effect.filter(|effect| effect.is_before(refused.ended));
            // What was taken back before the session began did not end it.
            effect.is_some_and(|effect| model.lost(effect, born).is_none())
        }
    }
}

/// After the record has lost that all sessions of a user or of everybody ended, those that begin before it is told
/// so again end with the others.
fn is_before_a_write_back(model: &Model<'_>, given: Given, refused: Use<'_>) -> bool {
    let born = model.born(given);
    let person = model.session(given).person;
    let ends_all = |action| match action {
        Action::RevokeAll { person: whose } | Action::Disable { person: whose } => whose == person,
        Action::ChangePassword { session, .. } => model.session(session).person == person,
        Action::RevokeEverything => true,
        _ => false,
    };
    let mut ends = model.ops().filter(|(_, op)| ends_all(op.action));
    ends.any(|(_, op)| {
        let Some(effect) = op.effect else { return false };
        let Some(fork) = model.lost(effect, refused.ended) else { return false };
        if !fork.at.is_before(born) {
            return false;
        }
        let knows =
            |life: &crate::history::Life| *life == op.life || model.heard(*life, effect, fork);
        let mut knowing = model.lives().filter(knows);
        // It was told so again long before: then it had no reason to end once more.
        !knowing.any(|life| model.was_written_back(life, effect, born))
    })
}

fn may_be_idle(model: &Model<'_>, given: Given, at: Moment) -> bool {
    let Some(idle_timeout) = model.setting.idle_timeout else { return false };
    let last_use = model.last_use(given, at);
    let is_idle = at.at.saturating_sub(last_use) + LAST_USE_IS_COARSE_BY >= idle_timeout;
    // Uses that a node could not write, or that died with it, or that the record lost.
    let since = last_use.saturating_sub(idle_timeout);
    let all_were_well = model.nodes().all(|node| model.is_well(node, since, at.at));
    is_idle || !all_were_well || model.forked_within(Duration::ZERO, at.at)
}

/// A session is its owner's alone.
pub(super) fn nobody_is_somebody_else(model: &Model<'_>, violations: &mut Vec<Violation>) {
    for (id, op) in model.ops() {
        if op.ended.is_some_and(|(_, outcome)| outcome == Outcome::SomebodyElses) {
            violations.push(broken("wrong identity", "somebody got another's session", &[id]));
        }
    }
}

/// A change of groups is seen at once on its node and within S on the others.
pub(super) fn groups_are_fresh(model: &Model<'_>, violations: &mut Vec<Violation>) {
    for accepted in model.acceptances() {
        let Some((_, Outcome::Accepted { group })) = accepted.op.ended else { continue };
        let person = model.session(accepted.session).person;
        let sets = model.ops().filter(|(_, op)| sets_group_of(op, person));
        let shown = sets.clone().find(
            |(_, op)| matches!(op.action, Action::SetGroup { group: set, .. } if set == group),
        );
        // Group 0 is what everybody has in the beginning.
        let shown = shown.and_then(|(_, op)| op.effect).map_or(0, |effect| effect.order);
        let newer = sets.filter(|(_, op)| binds(model, op, accepted));
        for (id, op) in newer {
            if op.effect.is_some_and(|effect| effect.order > shown) {
                let text = format!("session {} showed older groups", accepted.session.0);
                violations.push(broken("groups are fresh", &text, &[accepted.id, id]));
            }
        }
    }
}

fn sets_group_of(op: &Op, person: crate::history::Person) -> bool {
    matches!(op.action, Action::SetGroup { person: whose, .. } if whose == person)
}

/// Whether a change that was told as done has to be seen by a request.
fn binds(model: &Model<'_>, change: &Op, accepted: Use<'_>) -> bool {
    let (Some(told), Some(effect)) = (acknowledged(change), change.effect) else { return false };
    if !told.is_before(accepted.op.began) || model.lost(effect, accepted.ended).is_some() {
        return false;
    }
    let has_spread = told.at + SPREAD_MAX < accepted.op.began.at && model.is_in_touch(accepted);
    change.life == accepted.op.life || has_spread
}

/// Sessions are given for as long as they should last, and are good until then and not longer.
pub(super) fn expiry_is_judged_in_record_time(model: &Model<'_>, violations: &mut Vec<Violation>) {
    const PROMISE: &str = "expiry in record time";
    for session in &model.history.sessions {
        let born = model.op(session.born);
        let Some((ended, _)) = born.ended else { continue };
        let least = record_time(born.began.at).after(model.setting.session_age);
        let most = record_time(ended.at).after(model.setting.session_age);
        if session.expires_at.after(CLOCK_TOLERANCE) < least
            || session.expires_at > most.after(CLOCK_TOLERANCE)
        {
            violations.push(broken(
                PROMISE,
                "a session was given for another time",
                &[session.born],
            ));
        }
    }
    for accepted in model.acceptances() {
        // A copy that its client carries goes by a time that others judge, too.
        let leeway = accepted.op.shown.map_or(Duration::ZERO, |_| ACCESS_LEEWAY);
        let expires_at = model.session(accepted.session).expires_at.after(leeway);
        if record_time(accepted.op.began.at) > expires_at.after(CLOCK_TOLERANCE) {
            violations.push(broken(PROMISE, "a session outlived its time", &[accepted.id]));
        }
    }
}

/// A session that nobody used for longer than the idle timeout is over. Time in which uses could not
/// be written does not count.
pub(super) fn idle_sessions_expire(model: &Model<'_>, violations: &mut Vec<Violation>) {
    let Some(idle_timeout) = model.setting.idle_timeout else { return };
    for accepted in model.acceptances() {
        let began = accepted.op.began;
        let last_use = model.last_use(accepted.session, began);
        let others = model.acceptances().any(|other| {
            other.session == accepted.session
                && other.op.began.is_before(began)
                && !other.ended.is_before(began)
        });
        let all_were_well = model.nodes().all(|node| model.is_well(node, last_use, began.at));
        let over = last_use + idle_timeout + CLOCK_TOLERANCE + WRITES_BACK_WITHIN;
        if began.at > over && all_were_well && !others {
            let text = format!("session {} was good though idle", accepted.session.0);
            violations.push(broken("idle timeout", &text, &[accepted.id]));
        }
    }
}
