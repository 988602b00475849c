//! Who has ended, by name: sessions, users below a generation, and what must be read again.
//!
//! A name is refused wherever it appears, in whichever history. Positions only say which copies are
//! too old for what was *changed*, and from where on everything is known.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Stamp;
use crate::{FeedKind, Generation, LostRevocations, LostUser, Position, SessionId, UserId};

/// Names with the order in which they were learned.
#[derive(Debug, Default)]
pub(super) struct Names {
    sessions: BTreeMap<SessionId, u64>,
    users: BTreeMap<UserId, UserMark>,
    /// Copies below must be read again, whosever they are.
    reread: Option<Position>,
    /// The oldest first. A name that was learned again stands in it twice; its last place counts.
    order: VecDeque<Learned>,
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct UserMark {
    /// Sessions of a lower generation have ended.
    below: Option<Generation>,
    /// Copies below must be read again.
    refetch: Option<Position>,
    learned: u64,
}

#[derive(Clone, Copy, Debug)]
struct Learned {
    number: u64,
    at: Duration,
    kind: FeedKind,
    /// `None`: of a history that is no longer followed.
    position: Option<Position>,
}

/// A name that is no longer remembered.
pub(super) struct Forgotten {
    /// Copies from below can no longer be judged. `None`: of a history that is no longer followed.
    pub(super) position: Option<Position>,
}

impl Names {
    /// Whether a copy's session has ended.
    pub(super) fn revoke(&self, copy: &Stamp) -> bool {
        self.sessions.contains_key(&copy.session)
            || self.users.get(&copy.user).is_some_and(|mark| {
                mark.below.is_some_and(|generation| copy.generation < generation)
            })
    }

    /// Whether a copy must be read again, though its session may not have ended.
    pub(super) fn outdate(&self, copy: &Stamp) -> bool {
        let position = copy.as_of.position;
        let older_than = |reread: Option<Position>| reread.is_some_and(|reread| position < reread);
        older_than(self.reread)
            || self.users.get(&copy.user).is_some_and(|mark| older_than(mark.refetch))
    }

    /// A row of the feed, at its position in the history that is followed.
    pub(super) fn learn(&mut self, kind: FeedKind, position: Position, at: Duration) {
        let number = self.next;
        self.next += 1;
        match kind {
            FeedKind::Start => return,
            FeedKind::Session(id) => {
                self.sessions.insert(id, number);
            }
            FeedKind::UserBelow(id, generation) | FeedKind::UserDisabled(id, generation) => {
                let mark = self.user(id, number);
                mark.below = mark.below.max(Some(generation));
            }
            FeedKind::UserEnabled(id) | FeedKind::RefetchUser(id) => {
                let mark = self.user(id, number);
                mark.refetch = mark.refetch.max(Some(position));
            }
            // Not "every copy is dead": a login may have passed it in flight and live. The record
            // knows which.
            FeedKind::Everything | FeedKind::Unknown(_) => {
                self.reread = self.reread.max(Some(position));
            }
        }
        self.order.push_back(Learned { number, at, kind, position: Some(position) });
    }

    /// Ends whose positions are no longer known, as far as writing them twice does no harm.
    pub(super) fn of_no_position(&self) -> LostRevocations {
        let mut ends = LostRevocations::default();
        for learned in self.order.iter().filter(|learned| learned.position.is_none()) {
            match learned.kind {
                FeedKind::Session(id) => ends.sessions.push(id),
                FeedKind::UserBelow(id, generation) | FeedKind::UserDisabled(id, generation) => {
                    ends.users.push(LostUser { id, below: Some(generation), enabled: None });
                }
                FeedKind::Start
                | FeedKind::Everything
                | FeedKind::RefetchUser(_)
                | FeedKind::UserEnabled(_)
                | FeedKind::Unknown(_) => {}
            }
        }
        ends
    }

    /// Gives out what was learned from the history that is given up, in its order: its positions
    /// mean nothing from now on, its names all the more.
    pub(super) fn leave_history(&mut self) -> Vec<(Position, FeedKind)> {
        self.reread = None;
        for mark in self.users.values_mut() {
            mark.refetch = None;
        }
        let order = self.order.iter_mut();
        let mut said: Vec<_> =
            order.filter_map(|learned| Some((learned.position.take()?, learned.kind))).collect();
        // What this node wrote itself was learned before the rows that the feed told later.
        said.sort_by_key(|(position, _)| *position);
        said
    }

    /// Forgets the oldest name, if it was learned before `before` or there are more than `max`.
    pub(super) fn forget_one(&mut self, before: Duration, max: usize) -> Option<Forgotten> {
        let oldest = *self.order.front()?;
        if oldest.at >= before && self.order.len() <= max {
            return None;
        }
        self.order.pop_front();
        match oldest.kind {
            FeedKind::Session(id) => {
                if self.sessions.get(&id) == Some(&oldest.number) {
                    self.sessions.remove(&id);
                }
            }
            FeedKind::UserBelow(id, _)
            | FeedKind::UserDisabled(id, _)
            | FeedKind::UserEnabled(id)
            | FeedKind::RefetchUser(id) => {
                if self.users.get(&id).is_some_and(|mark| mark.learned == oldest.number) {
                    self.users.remove(&id);
                }
            }
            // Whoever is older than these is too old to be judged from now on.
            FeedKind::Start | FeedKind::Everything | FeedKind::Unknown(_) => {}
        }
        Some(Forgotten { position: oldest.position })
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    fn user(&mut self, id: UserId, number: u64) -> &mut UserMark {
        let fresh = UserMark { below: None, refetch: None, learned: number };
        let mark = self.users.entry(id).or_insert(fresh);
        mark.learned = number;
        mark
    }
}
