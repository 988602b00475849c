//! Who has ended, by name: sessions, users below a generation, and what must be read again.
//!
//! A name is refused wherever it appears, in whichever history. Positions only say which copies are
//! too old for what was *changed*, and from where on everything is known.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Stamp;
use crate::{FeedKind, Generation, LostRevocations, Position, SessionId, UserId};

/// Names with the order in which they were learned.
#[derive(Debug, Default)]
pub(super) struct Names {
    sessions: BTreeMap<SessionId, u64>,
    users: BTreeMap<UserId, UserMark>,
    /// Copies of these sessions below must be read again.
    refetch: BTreeMap<SessionId, Mark<Position>>,
    /// Copies below must be read again, whosever they are.
    reread: Option<Position>,
    /// The oldest first. A name that was learned again stands in it twice; its last place counts.
    order: VecDeque<Learned>,
    next: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct UserMark {
    /// Sessions of a lower generation have ended.
    below: Option<Mark<Generation>>,
    /// Copies below must be read again.
    refetch: Option<Mark<Position>>,
}

/// The highest that was learned, and with which number: it is forgotten with that one.
#[derive(Clone, Copy, Debug)]
struct Mark<T> {
    value: T,
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

/// What was learned from a row of a history that is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    number: u64,
    pub(super) position: Position,
    pub(super) kind: FeedKind,
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
            || self
                .users
                .get(&copy.user)
                .is_some_and(|user| user.below.is_some_and(|below| copy.generation < below.value))
    }

    /// Whether a copy must be read again, though its session may not have ended.
    pub(super) fn outdate(&self, copy: &Stamp) -> bool {
        let position = copy.as_of.position;
        let older_than = |reread: Option<Position>| reread.is_some_and(|reread| position < reread);
        older_than(self.reread)
            || older_than(self.refetch.get(&copy.session).map(|refetch| refetch.value))
            || self
                .users
                .get(&copy.user)
                .is_some_and(|user| older_than(user.refetch.map(|refetch| refetch.value)))
    }

    /// A row of the feed, at its position in the history that is followed.
    pub(super) fn learn(&mut self, kind: FeedKind, position: Position, at: Duration) {
        let number = self.number();
        match kind {
            FeedKind::Start => return,
            FeedKind::Session(_) | FeedKind::UserBelow(..) | FeedKind::UserDisabled(..) => {
                self.end(kind, number);
            }
            FeedKind::UserEnabled(id) | FeedKind::RefetchUser(id) => {
                raise(&mut self.users.entry(id).or_default().refetch, position, number);
            }
            FeedKind::RefetchSession(id) => {
                let mark = Mark { value: position, learned: number };
                let known = self.refetch.entry(id).or_insert(mark);
                if position >= known.value {
                    *known = mark;
                }
            }
            // Not "every copy is dead": who registered while it was under way may live. The record
            // knows.
            FeedKind::Everything | FeedKind::Unknown(_) => {
                self.reread = self.reread.max(Some(position));
            }
        }
        self.order.push_back(Learned { number, at, kind, position: Some(position) });
    }

    /// A row of a history that is not followed: who has ended in it has ended. `false`: nobody whose
    /// end was not known.
    pub(super) fn learn_elsewhere(&mut self, kind: FeedKind, at: Duration) -> bool {
        if self.knows_end(kind) {
            return false;
        }
        let number = self.number();
        let ends = self.end(kind, number);
        if ends {
            self.order.push_back(Learned { number, at, kind, position: None });
        }
        ends
    }

    fn knows_end(&self, kind: FeedKind) -> bool {
        match kind {
            FeedKind::Session(id) => self.sessions.contains_key(&id),
            FeedKind::UserBelow(id, generation) | FeedKind::UserDisabled(id, generation) => {
                let below = self.users.get(&id).and_then(|user| user.below);
                below.is_some_and(|below| below.value >= generation)
            }
            FeedKind::Start
            | FeedKind::Everything
            | FeedKind::RefetchUser(_)
            | FeedKind::RefetchSession(_)
            | FeedKind::UserEnabled(_)
            | FeedKind::Unknown(_) => false,
        }
    }

    /// Ends whose positions are no longer known.
    pub(super) fn of_no_position(&self) -> LostRevocations {
        let unplaced = self.order.iter().filter(|learned| learned.position.is_none());
        LostRevocations::of_ends(unplaced.map(|learned| learned.kind))
    }

    /// Gives out what was learned from the history that is given up, in its order: its positions
    /// mean nothing from now on, its names all the more.
    pub(super) fn leave_history(&mut self) -> Vec<Said> {
        self.reread = None;
        self.refetch.clear();
        for user in self.users.values_mut() {
            user.refetch = None;
        }
        let order = self.order.iter_mut();
        let said = order.filter_map(|learned| {
            let position = learned.position.take()?;
            Some(Said { number: learned.number, position, kind: learned.kind })
        });
        let mut said: Vec<_> = said.collect();
        // What this node wrote itself was learned before the rows that the feed told later.
        said.sort_by_key(|said| said.position);
        said
    }

    /// The history that is followed has this row, too: its position counts again. `false`: it is
    /// forgotten by now.
    pub(super) fn keep(&mut self, said: &Said) -> bool {
        let Ok(at) = self.order.binary_search_by_key(&said.number, |learned| learned.number) else {
            return false;
        };
        self.order[at].position = Some(said.position);
        true
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
            | FeedKind::RefetchUser(id) => self.forget_of_user(id, oldest.number),
            FeedKind::RefetchSession(id) => {
                if self.refetch.get(&id).is_some_and(|mark| mark.learned == oldest.number) {
                    self.refetch.remove(&id);
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

    const fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Notes whom a row ends by name; `false`: nobody.
    fn end(&mut self, kind: FeedKind, number: u64) -> bool {
        match kind {
            FeedKind::Session(id) => {
                self.sessions.insert(id, number);
                true
            }
            FeedKind::UserBelow(id, generation) | FeedKind::UserDisabled(id, generation) => {
                raise(&mut self.users.entry(id).or_default().below, generation, number);
                true
            }
            FeedKind::Start
            | FeedKind::Everything
            | FeedKind::RefetchUser(_)
            | FeedKind::RefetchSession(_)
            | FeedKind::UserEnabled(_)
            | FeedKind::Unknown(_) => false,
        }
    }

    fn forget_of_user(&mut self, id: UserId, number: u64) {
        let Some(user) = self.users.get_mut(&id) else { return };
        user.below.take_if(|below| below.learned == number);
        user.refetch.take_if(|refetch| refetch.learned == number);
        if user.below.is_none() && user.refetch.is_none() {
            self.users.remove(&id);
        }
    }
}

fn raise<T: Ord>(mark: &mut Option<Mark<T>>, value: T, learned: u64) {
    if mark.as_ref().is_none_or(|mark| value >= mark.value) {
        *mark = Some(Mark { value, learned });
    }
}
