//! After a fork: which of the revocations that this node knows has the record lost?
//!
//! What the record kept must not be written back: a user who was enabled again would be disabled, and
//! an old "everything has ended" would end today's sessions. The ids of rows are random, so a row that
//! is found in the new history is kept. So is all before the first that is not: it may have been
//! pruned. After that one, only what is found: this node may have written to the new history before it
//! knew of the fork. Of what may have been lost or pruned only that is written back which does no harm
//! where it was kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::announced::Early;
use super::limits::LEFT_MAX;
use super::names::Said;
use super::view::View;
use super::{Coherence, Phase};
use crate::{FeedKind, FeedNews, Generation, Head, LostRevocations, LostUser, Position, UserId};

/// What was known of the history that was given up, while it is compared with the new one.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The ids of its rows.
    ids: BTreeMap<Position, i64>,
    /// What they said, in their order.
    said: Vec<Said>,
    /// The newest row that is found in both, before the first that is not.
    shared: Option<Position>,
    /// Rows after that one that are found all the same.
    found: BTreeSet<Position>,
    has_parted: bool,
    /// Up to here the new history has no rows to compare with.
    pruned_to: Position,
    /// Compared up to here.
    through: Position,
    /// Users of whom the new history says whether they may log in, and whether it has ended
    /// everything: what is lost was written back by others, or decided anew.
    decided: BTreeSet<UserId>,
    has_ended_everything: bool,
}

impl Comparison {
    pub(super) fn new(ids: BTreeMap<Position, i64>, said: Vec<Said>) -> Self {
        let first = ids.keys().next().copied().unwrap_or(Position(0));
        let through = Position(first.0.saturating_sub(1));
        let (shared, found, pruned_to) = (None, BTreeSet::new(), Position(0));
        let (decided, has_ended_everything) = (BTreeSet::new(), false);
        Self {
            ids,
            said,
            shared,
            found,
            has_parted: false,
            pruned_to,
            through,
            decided,
            has_ended_everything,
        }
    }

    /// After which position the record is asked for its rows.
    pub(super) const fn through(&self) -> Position {
        self.through
    }

    /// Takes in rows of the new history; whether all that matters has been compared.
    pub(super) fn compare(&mut self, news: &FeedNews) -> bool {
        self.pruned_to = self.pruned_to.max(news.head.pruned_to);
        for row in &news.rows {
            self.through = row.at.position;
            let known = self.ids.get(&row.at.position).copied();
            match known {
                Some(row_id) if row_id != row.at.row_id => self.has_parted = true,
                Some(_) if self.has_parted => _ = self.found.insert(row.at.position),
                Some(_) => self.shared = Some(row.at.position),
                None => {}
            }
            // Before the histories part it may be what this node has not heard of yet.
            if self.has_parted && known != Some(row.at.row_id) {
                self.note_decision(row.kind);
            }
        }
        news.rows.is_empty() || self.through >= news.head.newest.position
    }

    fn note_decision(&mut self, kind: FeedKind) {
        match kind {
            FeedKind::UserDisabled(id, _) | FeedKind::UserEnabled(id) => {
                self.decided.insert(id);
            }
            FeedKind::Everything => self.has_ended_everything = true,
            FeedKind::Start
            | FeedKind::Session(_)
            | FeedKind::UserBelow(..)
            | FeedKind::RefetchUser(_)
            | FeedKind::RefetchSession(_)
            | FeedKind::Unknown(_) => {}
        }
    }

    /// Whether one of the rows that are compared ends everything.
    fn ends_everything(&self) -> bool {
        self.said.iter().any(|said| said.kind == FeedKind::Everything)
    }

    fn has_kept(&self, position: Position) -> bool {
        self.shared.is_some_and(|shared| position <= shared) || self.found.contains(&position)
    }

    /// What the new history has as well, with the ids of the rows.
    pub(super) fn kept(&self) -> impl Iterator<Item = (&Said, i64)> {
        let kept = self.said.iter().filter(|said| self.has_kept(said.position));
        kept.filter_map(|said| Some((said, *self.ids.get(&said.position)?)))
    }

    /// What the new history lacks.
    pub(super) fn lost(&self) -> LostRevocations {
        let mut lost = LostRevocations::default();
        let mut users: BTreeMap<UserId, LostUser> = BTreeMap::new();
        for said in &self.said {
            if self.has_kept(said.position) {
                continue;
            }
            let is_certain = said.position > self.pruned_to;
            match said.kind {
                FeedKind::Session(id) => lost.sessions.push(id),
                FeedKind::UserBelow(id, generation) => below(&mut users, id, generation),
                FeedKind::UserDisabled(id, generation) => {
                    below(&mut users, id, generation);
                    let enabled = (is_certain && !self.decided.contains(&id)).then_some(false);
                    users.entry(id).and_modify(|user| user.enabled = enabled);
                }
                // No revocation: who is disabled without reason can be enabled again.
                FeedKind::UserEnabled(id) => {
                    users.entry(id).and_modify(|user| user.enabled = None);
                }
                FeedKind::Everything => {
                    lost.everything |= is_certain && !self.has_ended_everything;
                }
                FeedKind::Start
                | FeedKind::RefetchUser(_)
                | FeedKind::RefetchSession(_)
                | FeedKind::Unknown(_) => {}
            }
        }
        lost.users = users.into_values().collect();
        lost
    }
}

impl Coherence {
    /// Whether the record may have lost an end of everything that is not written back yet: it names
    /// nobody, so whoever is good cannot be told from whoever is not.
    pub(super) fn owes_end_of_everything(&self) -> bool {
        self.lost.is_everything()
            || self.comparison.as_ref().is_some_and(Comparison::ends_everything)
    }

    /// Follows the feed from its head on, unless the record is where it was before a fork.
    pub(super) fn begin_at(&mut self, head: Head, began: Duration) {
        if self.left.contains(&head.history) {
            self.names.leave_history();
            self.lost.add(self.names.of_no_position());
            self.phase = Phase::Forked(head.history);
            return;
        }
        self.phase = Phase::Following(View::at(head, began));
        for Early { history, rows, at } in std::mem::take(&mut self.early) {
            self.announced(history, &rows, at);
        }
    }

    /// Every copy is void by the epoch. What is remembered goes on being refused, and is compared
    /// with the new history.
    pub(super) fn fork(&mut self) {
        self.forks += 1;
        if let Some(unfinished) = self.comparison.take() {
            self.lost.add(unfinished.lost());
        }
        // What is of no history any more may have been written back, and be lost by this one.
        self.lost.add(self.names.of_no_position());
        let said = self.names.leave_history();
        if let Phase::Following(view) = &self.phase {
            if self.left.len() >= LEFT_MAX {
                self.left.pop_front();
            }
            self.left.push_back(view.history());
            let mut ids = std::mem::take(&mut self.kept);
            ids.extend(view.known_ids());
            self.comparison = Some(Comparison::new(ids, said));
        }
    }
}

fn below(users: &mut BTreeMap<UserId, LostUser>, id: UserId, generation: Generation) {
    let user = users.entry(id).or_insert(LostUser { id, below: None, enabled: None });
    user.below = user.below.max(Some(generation));
}
