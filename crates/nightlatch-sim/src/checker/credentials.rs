//! Who may log in: with the password as it is, while not disabled (I2), and nobody else; and who may
//! is let in (I3).

use super::{Violation, broken};
use crate::history::{Action, Moment, Op, OpId, Outcome, PasswordNo, Person};
use crate::model::{Model, acknowledged, login_of, person_of};

/// What is known of a person's credentials at a moment.
struct Credentials {
    /// Which passwords may be the right one.
    passwords: Vec<PasswordNo>,
    /// The acknowledged disabling, if it still holds.
    disabled_by: Option<OpId>,
}

/// No login begins a session with a password of before, or for a disabled user.
pub(super) fn only_the_right_password_logs_in(model: &Model<'_>, violations: &mut Vec<Violation>) {
    const PROMISE: &str = "I2 credentials that have ended";
    for (id, op) in model.ops() {
        let (Some((person, password)), Some((_, Outcome::LoggedIn(_)))) =
            (login_of(op.action), op.ended)
        else {
            continue;
        };
        let Some(effect) = op.effect else { continue };
        // While somebody logs in the record goes back: the password was right when it was verified.
        if model.forked_within(op.began.at, effect.at) {
            continue;
        }
        let known = credentials(model, person, effect);
        if !known.passwords.contains(&password) {
            violations.push(broken(PROMISE, "a former password logged in", &[id]));
        }
        if let Some(disabling) = known.disabled_by {
            violations.push(broken(PROMISE, "a disabled user logged in", &[id, disabling]));
        }
        violations.extend(logs_in_after_write_back(model, person, (id, effect)));
    }
}

/// What took effect before a moment and was not taken back before it, in order.
fn changes<'a>(model: &Model<'a>, person: Person, at: Moment) -> Vec<(OpId, &'a Op, Moment)> {
    let mut changes: Vec<_> = model
        .ops()
        .filter(|(_, op)| is_credential_change(op.action))
        .filter(|(_, op)| person_of(model.history, op.action) == Some(person))
        .filter_map(|(id, op)| Some((id, op, op.effect?)))
        .filter(|(_, _, effect)| effect.is_before(at) && model.lost(*effect, at).is_none())
        .collect();
    changes.sort_by_key(|(_, _, effect)| effect.order);
    changes
}

const fn is_credential_change(action: Action) -> bool {
    matches!(action, Action::ChangePassword { .. } | Action::Disable { .. } | Action::Enable { .. })
}

fn credentials(model: &Model<'_>, person: Person, at: Moment) -> Credentials {
    let mut known = Credentials { passwords: vec![0], disabled_by: None };
    for (id, op, _) in changes(model, person, at) {
        match op.action {
            Action::ChangePassword { new, .. } => match op.ended {
                Some((_, Outcome::LoggedIn(_))) => known.passwords = vec![new],
                // It was refused by the record.
                Some((_, Outcome::Refused)) => {}
                // It may have been, or its answer was lost.
                _ => known.passwords.push(new),
            },
            Action::Disable { .. } => known.disabled_by = Some(id),
            Action::Enable { .. } => known.disabled_by = None,
            _ => {}
        }
    }
    known
}

/// A disabling that the record lost is in force again once a node had the time to write it back.
fn logs_in_after_write_back(
    model: &Model<'_>,
    person: Person,
    (id, effect): (OpId, Moment),
) -> Option<Violation> {
    if !model.setting.remembers_all() {
        return None;
    }
    let of_person = |action| matches!(action, Action::Disable { person: p } | Action::Enable { person: p } if p == person);
    let latest = model.ops().filter(|(_, op)| of_person(op.action) && op.began.is_before(effect));
    // With an enabling anywhere near it cannot be told what was to be in force.
    let (disabling, op) = latest.max_by_key(|(_, op)| op.began.order)?;
    let told = acknowledged(op)?;
    let Action::Disable { .. } = op.action else { return None };
    let others_had_ended = model.ops().all(|(other, op)| {
        other == disabling
            || !of_person(op.action)
            || op.ended.is_some_and(|(ended, _)| ended.is_before(model.op(disabling).began))
            || effect.is_before(op.began)
    });
    let fork = model.lost(op.effect?, effect)?;
    let knows = |life: &crate::history::Life| {
        *life == op.life || model.heard(*life, op.effect.unwrap_or(told), fork)
    };
    let is_back =
        model.lives().filter(knows).any(|life| model.was_written_back(life, told, effect));
    (others_had_ended && is_back).then(|| {
        let text = "a disabled user logged in after a node had to write that back";
        broken("I2 credentials that have ended", text, &[id, disabling])
    })
}

/// Nobody is told that name or password are wrong when they are right.
pub(super) fn the_right_password_is_not_denied(model: &Model<'_>, violations: &mut Vec<Violation>) {
    for (id, op) in model.ops() {
        let (Some((person, password)), Some((ended, Outcome::Denied))) =
            (login_of(op.action), op.ended)
        else {
            continue;
        };
        let mut all = model.ops().filter(|(_, other)| {
            is_credential_change(other.action)
                && person_of(model.history, other.action) == Some(person)
        });
        let moves = all.any(|(_, other)| {
            let is_over = other.ended.is_some_and(|(over, _)| over.is_before(op.began));
            other.began.is_before(ended) && !is_over
        });
        let known = credentials(model, person, op.began);
        let is_right = known.passwords == [password] && known.disabled_by.is_none();
        if is_right && !moves && !model.forked_within(std::time::Duration::ZERO, ended.at) {
            violations.push(broken(
                "I3 no only when known",
                "the right password was denied",
                &[id],
            ));
        }
    }
}
