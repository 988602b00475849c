//! What a history says of exchanges of refresh tokens: which token was superseded when, and which the
//! record can no longer know.

use std::collections::BTreeSet;
use std::time::Duration;

use nightlatch_core::HEARTBEAT_EVERY;

use crate::history::{Action, Given, History, Op, OpId, Outcome, Trouble};
use crate::model::{Model, Use};

/// Calls that were under way when a trouble began may still arrive, and timers round.
const ROUNDING: Duration = Duration::from_secs(1);

/// Nodes that reach the record at once agree on its time within so much.
const CLOCKS_APART: Duration = Duration::from_millis(50);

/// Those that hear of its time late, within so much.
const SLOW_CLOCKS_APART: Duration = Duration::from_millis(600);

/// A node that was told the time late is told it better within so long.
const TIME_HOLDS: Duration = Duration::from_secs(15);

/// An exchange.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'a> {
    pub(crate) id: OpId,
    pub(crate) op: &'a Op,
    pub(crate) session: Given,
    /// How many exchanges made the token that it came with.
    pub(crate) step: u32,
}

impl<'a> Exchange<'a> {
    fn of(history: &History, (id, op): (OpId, &'a Op)) -> Option<Self> {
        let Action::Refresh { session, pair } = op.action else { return None };
        Some(Self { id, op, session, step: history.pairs[pair.0].step })
    }
}

impl<'a> Model<'a> {
    /// All exchanges.
    pub(crate) fn exchanges(&self) -> impl Iterator<Item = Exchange<'a>> + use<'a> {
        let history = self.history;
        self.ops().filter_map(move |(id, op)| Exchange::of(history, (id, op)))
    }

    fn exchange(&self, id: OpId) -> Option<Exchange<'a>> {
        Exchange::of(self.history, (id, self.op(id)))
    }

    /// Whether an exchange that nobody was told otherwise of may have ended its session.
    pub(crate) fn may_have_reused(&self, id: OpId) -> bool {
        let Some(exchange) = self.exchange(id) else { return false };
        let is_told_otherwise = matches!(
            exchange.op.ended,
            Some((_, Outcome::Refreshed(_) | Outcome::Refused | Outcome::SomebodyElses))
        );
        !is_told_otherwise && self.may_be_reuse(exchange)
    }

    fn clocks_apart(&self, one: Exchange<'_>, other: Exchange<'_>) -> Duration {
        let until = one.op.began.at.max(other.op.began.at);
        let since = until.saturating_sub(TIME_HOLDS);
        let are_well = [one, other].iter().all(|it| self.is_well(it.op.node, since, until));
        if are_well { CLOCKS_APART } else { SLOW_CLOCKS_APART }
    }

    /// When its node saw it at the latest: one that is suspended knows nothing of what waits for it.
    fn seen_at(&self, exchange: Exchange<'_>) -> Duration {
        let began = exchange.op.began.at;
        let arrived = exchange.op.effect.map_or(began, |effect| effect.at);
        let troubles = self.history.troubles.iter().filter(|troubled| {
            troubled.node == exchange.op.node && troubled.trouble == Trouble::Suspended
        });
        let awake = troubles.filter_map(|troubled| troubled.to);
        awake.filter(|to| (began..=arrived).contains(to)).fold(began, Duration::max)
    }

    /// Whether somebody may have gone on from its successor while it was under way.
    pub(crate) fn may_be_late(&self, id: OpId) -> bool {
        let Some(exchange) = self.exchange(id) else { return false };
        let since = exchange.op.began.at.saturating_sub(CLOCKS_APART);
        let mut others = self.exchanges().filter(|other| {
            (other.session, other.id != id) == (exchange.session, true)
                && other.step > exchange.step
        });
        others.any(|other| {
            let mut moments = other.op.effect.into_iter().zip(exchange.op.effect);
            moments.any(|(other, this)| other.at >= since && other.is_before(this))
        })
    }

    /// Whether its token may have been exchanged before, and its successor used or the grace be over.
    pub(crate) fn may_be_reuse(&self, exchange: Exchange<'_>) -> bool {
        let Some(effect) = exchange.op.effect else { return false };
        let Some(tokens) = self.setting.tokens else { return false };
        let mut others = self.exchanges().filter(|other| {
            other.id != exchange.id
                && other.session == exchange.session
                && other.op.effect.is_some()
                && other.op.began.is_before(effect)
        });
        others.any(|other| {
            let is_late = || {
                let passed = self.service_time_at_most(other.op.began.at, effect.at);
                passed + ROUNDING >= tokens.grace
            };
            // What came after it was presented makes it late, and no theft.
            let had_gone_on =
                || other.op.began.at <= self.seen_at(exchange) + self.clocks_apart(exchange, other);
            other.step > exchange.step && had_gone_on() || other.step == exchange.step && is_late()
        })
    }

    /// Whether the record has gone back so far that it cannot tell a token from one that never was: over
    /// more than the exchange that made it.
    pub(crate) fn is_beyond_the_record(&self, request: Use<'_>) -> bool {
        let Some(exchange) = self.exchange(request.id) else { return false };
        let lost = self.exchanges().filter(|other| {
            let is_lost = other.op.effect.is_some_and(|at| self.lost(at, request.ended).is_some());
            let is_its = other.session == exchange.session && other.step < exchange.step;
            is_its && is_lost && self.may_have_exchanged(*other)
        });
        lost.map(|other| other.step).collect::<BTreeSet<_>>().len() > 1
    }

    /// Whether it may have been the exchange of its token: nobody had exchanged that for certain.
    fn may_have_exchanged(&self, exchange: Exchange<'_>) -> bool {
        let outcome = exchange.op.ended.map(|(_, outcome)| outcome);
        let may = matches!(outcome, None | Some(Outcome::Refreshed(_) | Outcome::Unavailable));
        let Some(effect) = exchange.op.effect else { return false };
        let mut others = self.exchanges().filter(|other| {
            (other.session, other.step) == (exchange.session, exchange.step)
                && matches!(other.op.ended, Some((_, Outcome::Refreshed(_))))
        });
        let had_been = others.any(|other| {
            other.op.effect.is_some_and(|earlier| {
                earlier.is_before(effect)
                    && self.lost(earlier, effect).is_none()
                    && self.history.forks.iter().any(|fork| {
                        earlier.is_before(fork.back_to) && fork.back_to.is_before(effect)
                    })
            })
        });
        may && !had_been
    }

    /// The most that the record's service time can have gone on: it stands still while no node reaches
    /// the record, but for one interval of heartbeats.
    pub(crate) fn service_time_at_most(&self, from: Duration, to: Duration) -> Duration {
        let mut points = BTreeSet::from([from, to]);
        for troubled in &self.history.troubles {
            points.extend([Some(troubled.from), troubled.to].into_iter().flatten());
        }
        let points: Vec<_> = points.into_iter().filter(|at| *at >= from && *at <= to).collect();
        let (mut passed, mut stood_still) = (Duration::ZERO, Duration::ZERO);
        for span in points.windows(2) {
            let (begin, end) = (span[0], span[1]);
            if self.nobody_reaches_the_record(begin, end) {
                stood_still += end.saturating_sub(begin);
            } else {
                passed += stood_still.min(HEARTBEAT_EVERY) + end.saturating_sub(begin);
                stood_still = Duration::ZERO;
            }
        }
        passed + stood_still.min(HEARTBEAT_EVERY)
    }

    fn nobody_reaches_the_record(&self, from: Duration, to: Duration) -> bool {
        self.nodes().all(|node| {
            self.history.troubles.iter().any(|troubled| {
                let keeps_away = matches!(
                    troubled.trouble,
                    Trouble::CutOff | Trouble::Dead | Trouble::Suspended
                );
                troubled.node == node
                    && keeps_away
                    && troubled.from <= from
                    && troubled.to.is_none_or(|ended| ended >= to)
            })
        })
    }
}
