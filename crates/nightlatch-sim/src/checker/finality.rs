//! Logout is final (I2), and one node has one knowledge (I10).

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Violation, broken};
use crate::history::{Given, Life, Moment, Op, OpId, Outcome};
use crate::model::{Model, REGAINS_TOUCH, SPREAD_MAX, Use, acknowledged};

/// A logout that could not be told as done is tried so often that it is, this long after the record
/// is in reach again.
const TRIED_AGAIN_WITHIN: Duration = Duration::from_secs(3);

/// No session is good once its end was acknowledged: at once on the node that served it, within S
/// on every other that reaches the record; never again after the record came back with old data, as
/// far as a node that lives remembers it.
pub(super) fn logout_is_final(model: &Model<'_>, violations: &mut Vec<Violation>) {
    for accepted in model.acceptances() {
        for (id, end) in model.ends_of(accepted.session) {
            let Some(why) = is_undone(model, accepted, end) else { continue };
            let text = format!("session {} was good again {why}", accepted.session.0);
            violations.push(broken("I2 logout is final", &text, &[accepted.id, id]));
        }
    }
}

fn is_undone(model: &Model<'_>, accepted: Use<'_>, end: &Op) -> Option<&'static str> {
    let told = acknowledged(end)?;
    let effect = end.effect?;
    if !told.is_before(accepted.op.began) {
        return None;
    }
    let is_here = end.life == accepted.op.life;
    let Some(fork) = model.lost(effect, accepted.ended) else {
        if is_here {
            return Some("on the node that had ended it");
        }
        // A login that the record lost unseen shows in no row of the feed: copies of it go by their
        // age.
        if model.lost(model.born(accepted.session), effect).is_some() {
            return None;
        }
        if model.born_at(accepted.op.life) >= told.at {
            return Some("on a node that was started later");
        }
        let has_spread = told.at + SPREAD_MAX < accepted.op.began.at;
        if has_spread && model.is_in_touch(accepted) {
            return Some("on another node, after S");
        }
        return model.is_told(end, accepted).then_some("on another node that had been told");
    };
    if !model.setting.remembers_all() || had_ended_before(model, accepted, effect) {
        return None;
    }
    if is_here {
        return Some("on the node that had ended it, after the record went back");
    }
    let knows = |life: &Life| *life == end.life || model.heard(*life, effect, fork);
    let is_back = model
        .lives()
        .filter(knows)
        .any(|life| model.was_written_back(life, told, accepted.op.began));
    (is_back && model.is_in_touch(accepted)).then_some("after a node had to write its end back")
}

/// Whether something else had ended the session before: then that is what is to be remembered.
fn had_ended_before(model: &Model<'_>, accepted: Use<'_>, effect: Moment) -> bool {
    let mut ends = model.ends_of(accepted.session);
    ends.any(|(_, other)| {
        other.effect.is_some_and(|earlier| {
            earlier.is_before(effect) && model.lost(earlier, effect).is_none()
        })
    })
}

/// A logout that is pending binds its node at once, and everybody soon after the record is in reach.
pub(super) fn a_waiting_logout_is_refused_here_and_done_soon(
    model: &Model<'_>,
    violations: &mut Vec<Violation>,
) {
    for accepted in model.acceptances() {
        for (id, end) in model.ends_of(accepted.session) {
            let Some((told, Outcome::Pending)) = end.ended else { continue };
            if !told.is_before(accepted.op.began) {
                continue;
            }
            let is_here = end.life == accepted.op.life;
            let forgets = !model.setting.remembers_all() && !model.history.forks.is_empty();
            let is_done = model.history.forks.is_empty() && was_tried_again(model, end, accepted);
            if (is_here && !forgets) || (is_done && model.is_in_touch(accepted)) {
                let text = format!("session {} was good again", accepted.session.0);
                violations.push(broken("I2 a waiting logout", &text, &[accepted.id, id]));
            }
        }
    }
}

/// Whether the node that has a logout waiting was in reach of the record for long enough.
fn was_tried_again(model: &Model<'_>, end: &Op, accepted: Use<'_>) -> bool {
    let Some((told, _)) = end.ended else { return false };
    let lived = model.history.lives[end.life.0];
    let spread = SPREAD_MAX + REGAINS_TOUCH;
    let until = accepted.op.began.at.saturating_sub(spread).min(lived.to.unwrap_or(Duration::MAX));
    let from = until.saturating_sub(TRIED_AGAIN_WITHIN);
    from >= told.at && model.is_well(lived.node, from, until)
}

/// A node that has said "no" once says it for good.
pub(super) fn one_node_has_one_knowledge(model: &Model<'_>, violations: &mut Vec<Violation>) {
    // Somebody may have used an idle session elsewhere meanwhile, and this node hears of it later.
    if model.setting.idle_timeout.is_some() {
        return;
    }
    let mut refused: BTreeMap<(Life, Given), OpId> = BTreeMap::new();
    for refusal in model.refusals() {
        if model.is_beyond_the_record(refusal) {
            continue;
        }
        refused.entry((refusal.op.life, refusal.session)).or_insert(refusal.id);
    }
    for accepted in model.acceptances() {
        let Some(id) = refused.get(&(accepted.op.life, accepted.session)) else { continue };
        let refusal = model.op(*id);
        let said_no = refusal.ended.is_some_and(|(at, _)| at.is_before(accepted.op.began));
        // The record said so, and went back over it; what this node remembers is judged above. One that
        // remembers little forgets what the record has lost.
        let forgets = !model.setting.remembers_all() && !model.history.forks.is_empty();
        let is_taken_back = forgets || model.forked_within(refusal.began.at, accepted.ended.at);
        if said_no && !is_taken_back {
            let text = format!("session {} was good again after a 401", accepted.session.0);
            violations.push(broken("I10 one node, one knowledge", &text, &[accepted.id, *id]));
        }
    }
}
