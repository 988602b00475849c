//! The view of one history of the feed: from where it is complete, and up to where.
//!
//! Names alone say who has ended. Which copies they can judge, and whether the record is still where
//! it was, only the positions and ids of rows can tell; so these are kept here, beside the names.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Stamp;
use super::names::Names;
use crate::{AsOf, FeedNews, Head, History, Position};

/// The most rows that are expected before the feed has shown them. More are not noted: a fork that
/// loses only those is then seen by the rows that are.
const EXPECTED_MAX: usize = 10_000;

/// What a node knows of the feed.
#[derive(Debug)]
pub(super) struct View {
    history: History,
    /// Complete from here on. A copy of an older position cannot be judged.
    since: Position,
    /// Complete up to here.
    through: AsOf,
    /// The ids of the rows from `since` to `through`: another id there is another history.
    ids: VecDeque<i64>,
    /// The start of the last look that found the feed to end at `through`.
    confirmed_at: Duration,
    /// Rows above `through` that the feed must have: written by this node, or seen in an answer.
    expected: BTreeMap<Position, Expected>,
}

#[derive(Clone, Copy, Debug)]
struct Expected {
    row_id: i64,
    /// A look that began before, or at that moment, says nothing of it.
    known_at: Duration,
    /// What it says is known, too: not only that it stands there.
    is_said: bool,
}

/// What following the feed came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// The view reaches the head.
    ToTheEnd,
    /// There are more rows than one answer holds.
    SomeRows,
    /// Rows that were not seen are gone.
    Behind,
    /// The record is in another history.
    OtherHistory,
    /// What was there is there no more, or is another.
    Forked,
}

impl View {
    /// Begins at the head: nothing before it can be judged.
    pub(super) fn at(head: Head, began: Duration) -> Self {
        Self {
            history: head.history,
            since: head.newest.position,
            through: head.newest,
            ids: VecDeque::from([head.newest.row_id]),
            confirmed_at: began,
            expected: BTreeMap::new(),
        }
    }

    pub(super) const fn history(&self) -> History {
        self.history
    }

    pub(super) const fn through(&self) -> AsOf {
        self.through
    }

    pub(super) const fn confirmed_at(&self) -> Duration {
        self.confirmed_at
    }

    /// Whether the copy is of this history and of a position from which on all is known. With
    /// `as_of` at `since` or above, any later revocation is among the names; below it, one may have
    /// been forgotten. One ahead of `through` is judged as any other: a revocation that is missing
    /// here is younger than the lease.
    pub(super) fn can_judge(&self, copy: &Stamp) -> bool {
        let position = copy.as_of.position;
        if copy.history != self.history || position < self.since {
            return false;
        }
        !self.is_contradicted_by(copy.as_of)
    }

    /// The ids of the rows that are known, for a comparison with another history.
    pub(super) fn known_ids(&self) -> BTreeMap<Position, i64> {
        let told = (self.since.0..).map(Position).zip(self.ids.iter().copied());
        let expected = self.expected.iter().map(|(position, row)| (*position, row.row_id));
        told.chain(expected).collect()
    }

    /// An answer to a read that began at `began` carried the head `as_of`. Whether it confirms the
    /// view: only if that is the row of `through` and no row above it is known.
    pub(super) fn confirm_by(&mut self, as_of: AsOf, began: Duration) -> bool {
        let confirms = as_of == self.through && self.expected.is_empty();
        if confirms {
            self.confirmed_at = self.confirmed_at.max(began);
        }
        confirms
    }

    /// Whether this row, of which this node knows from the record itself, cannot be in a feed that
    /// has the rows of this view.
    pub(super) fn is_contradicted_by(&self, row: AsOf) -> bool {
        let offset = usize::try_from(row.position.0 - self.since.0).ok();
        let known = offset.and_then(|offset| self.ids.get(offset).copied());
        let known = known.or_else(|| self.expected.get(&row.position).map(|row| row.row_id));
        known.is_some_and(|row_id| row_id != row.row_id)
    }

    /// Whether this very row is in the view, or its effect in every copy that can be judged.
    pub(super) fn has_seen(&self, row: AsOf) -> bool {
        if row.position <= self.since {
            return true;
        }
        let offset = usize::try_from(row.position.0 - self.since.0).ok();
        let told = offset.and_then(|offset| self.ids.get(offset).copied());
        let said = self.expected.get(&row.position).filter(|expected| expected.is_said);
        told.or_else(|| said.map(|expected| expected.row_id)) == Some(row.row_id)
    }

    /// Whether a row that was written a moment ago stands where the view begins, or before.
    pub(super) fn begins_above(&self, row: AsOf) -> bool {
        row.position < self.since
    }

    /// Nothing is believed by it before the next look.
    pub(super) fn doubt(&mut self) {
        self.confirmed_at = Duration::ZERO;
    }

    /// The feed must have this row. Whether it is known what it says.
    pub(super) fn expect(&mut self, row: AsOf, is_said: bool, now: Duration) {
        if row.position > self.through.position && self.expected.len() < EXPECTED_MAX {
            let expected = Expected { row_id: row.row_id, known_at: now, is_said };
            let expected = self.expected.entry(row.position).or_insert(expected);
            expected.is_said |= is_said && expected.row_id == row.row_id;
        }
    }

    /// Copies from below `position` can no longer be judged: what ended there was forgotten. Those
    /// of `position` itself have seen it. `false`: the view does not reach so far.
    pub(super) fn give_up_below(&mut self, position: Position) -> bool {
        while self.since < position && self.ids.len() > 1 {
            self.since = Position(self.since.0 + 1);
            self.ids.pop_front();
        }
        self.since >= position
    }

    /// Takes in what the record told, asked at `began` for what is above `through`.
    pub(super) fn follow(
        &mut self,
        news: &FeedNews,
        began: Duration,
        now: Duration,
        names: &mut Names,
    ) -> Followed {
        let head = news.head;
        if head.history != self.history {
            return Followed::OtherHistory;
        }
        if head.newest.position < self.through.position {
            return Followed::Forked;
        }
        if head.pruned_to > self.through.position {
            return Followed::Behind;
        }
        match news.asked {
            Some(row_id) if row_id != self.through.row_id => return Followed::Forked,
            None if head.pruned_to < self.through.position => return Followed::Forked,
            Some(_) | None => {}
        }
        if !self.bears_out(news, began) {
            return Followed::Forked;
        }
        for row in &news.rows {
            if row.at.position.0 != self.through.position.0 + 1 {
                return Followed::Behind;
            }
            names.learn(row.kind, row.at.position, now);
            self.through = row.at;
            self.ids.push_back(row.at.row_id);
            self.expected.remove(&row.at.position);
        }
        if self.through != head.newest {
            return Followed::SomeRows;
        }
        self.confirmed_at = self.confirmed_at.max(began);
        Followed::ToTheEnd
    }

    /// Whether every row that was known when the look began is there, as it was.
    fn bears_out(&self, news: &FeedNews, began: Duration) -> bool {
        let first = self.through.position.0 + 1;
        self.expected.iter().filter(|(_, row)| row.known_at < began).all(|(position, row)| {
            if *position > news.head.newest.position {
                return false;
            }
            let offset = usize::try_from(position.0 - first).ok();
            // A row beyond this answer is looked at when it comes.
            offset
                .and_then(|offset| news.rows.get(offset))
                .is_none_or(|found| found.at.row_id == row.row_id)
        })
    }
}
