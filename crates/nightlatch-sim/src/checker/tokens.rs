//! A refresh is exactly-once in effect (I5), and an access token is over at its time.

use std::collections::BTreeMap;
use std::time::Duration;

use nightlatch_core::{ACCESS_LEEWAY, HEARTBEAT_EVERY};

use super::{Violation, broken};
use crate::clock::record_time;
use crate::exchange::Exchange;
use crate::history::Outcome;
use crate::model::{CLOCK_TOLERANCE, Model};

/// How much later than the grace a token may still be exchanged again: service time stands still until the
/// next heartbeat after an outage, and that is on its way for a while.
const GRACE_IS_COARSE_BY: Duration = HEARTBEAT_EVERY.saturating_add(Duration::from_secs(3));

/// Whoever exchanges one token, however often and wherever, is told one successor.
pub(super) fn a_token_has_one_successor(model: &Model<'_>, violations: &mut Vec<Violation>) {
    let mut told = BTreeMap::new();
    for exchange in model.exchanges() {
        let Some((_, Outcome::Refreshed(next))) = exchange.op.ended else { continue };
        let next = &model.history.pairs[next.0];
        let follows = next.step == exchange.step + 1;
        let (id, first) =
            told.entry((exchange.session, exchange.step)).or_insert((exchange.id, &next.refresh));
        if !follows || *first != &next.refresh {
            let text = format!("session {} got two successors", exchange.session.0);
            violations.push(broken("I5 one successor", &text, &[exchange.id, *id]));
        }
    }
}

/// A client that lost an answer asks again within the grace, and is not taken for a thief.
pub(super) fn a_lost_answer_is_no_reuse(model: &Model<'_>, violations: &mut Vec<Violation>) {
    for exchange in model.exchanges() {
        let is_told_so = matches!(exchange.op.ended, Some((_, Outcome::Reused)));
        if is_told_so && !model.may_be_reuse(exchange) {
            let text = format!("session {} was ended as stolen", exchange.session.0);
            violations.push(broken("I5 a lost answer", &text, &[exchange.id]));
        }
    }
}

/// A token is not exchanged again once its successor was, nor long after the grace.
pub(super) fn a_superseded_token_is_not_exchanged(
    model: &Model<'_>,
    violations: &mut Vec<Violation>,
) {
    for exchange in model.exchanges() {
        if !matches!(exchange.op.ended, Some((_, Outcome::Refreshed(_)))) {
            continue;
        }
        for other in model.exchanges().filter(|other| other.session == exchange.session) {
            let why = if other.step > exchange.step {
                "after its successor"
            } else if other.step == exchange.step && is_past_the_grace(model, other, exchange) {
                "after the grace"
            } else {
                continue;
            };
            if had_happened(model, other, exchange) {
                let text = format!("session {} was refreshed {why}", exchange.session.0);
                violations.push(broken("I5 reuse", &text, &[exchange.id, other.id]));
            }
        }
    }
}

/// Whether one exchange was told as done before another began, and the record had not lost it.
fn had_happened(model: &Model<'_>, earlier: Exchange<'_>, later: Exchange<'_>) -> bool {
    let (Some((told, Outcome::Refreshed(_))), Some(effect)) = (earlier.op.ended, earlier.op.effect)
    else {
        return false;
    };
    let Some((ended, _)) = later.op.ended else { return false };
    told.is_before(later.op.began) && model.lost(effect, ended).is_none()
}

fn is_past_the_grace(model: &Model<'_>, first: Exchange<'_>, again: Exchange<'_>) -> bool {
    let (Some(tokens), Some((told, _))) = (model.setting.tokens, first.op.ended) else {
        return false;
    };
    let over = told.at + tokens.grace + GRACE_IS_COARSE_BY;
    // While nobody beats, service time stands still.
    let ran_on = model.nodes().any(|node| model.is_well(node, told.at, again.op.began.at));
    again.op.began.at > over && ran_on
}

/// An access token is not good after its time.
pub(super) fn access_tokens_expire(model: &Model<'_>, violations: &mut Vec<Violation>) {
    for accepted in model.acceptances() {
        let Some(pair) = accepted.op.shown else { continue };
        let expires_at = model.history.pairs[pair.0].access_expires_at;
        let latest = expires_at.after(ACCESS_LEEWAY).after(CLOCK_TOLERANCE);
        if record_time(accepted.op.began.at) > latest {
            let text = "an access token outlived its time";
            violations.push(broken("expiry in record time", text, &[accepted.id]));
        }
    }
}
