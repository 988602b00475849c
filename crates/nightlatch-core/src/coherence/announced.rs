//! What other nodes announce beside the feed (DESIGN 2.1, rule 3): it binds this node at once, and
//! confirms nothing.

use std::time::Duration;

use super::{Coherence, Phase};
use crate::{FeedKind, FeedRow, History, LostRevocations};

/// What an announcement changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// There was something in it that this node did not know: the feed has more to tell.
    pub is_new: bool,
    /// Every copy is void.
    pub copies_are_void: bool,
}

/// The most announcements that wait for a view.
const EARLY_MAX: usize = 64;

/// What was announced while there was no view.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) history: History,
    pub(super) rows: Vec<FeedRow>,
    pub(super) at: Duration,
}

impl Coherence {
    /// Another node has written rows to a history of this record.
    ///
    /// It is a row that the feed must have, as if this node had written it. Of a history that is not
    /// followed, here or there: names have ended in whichever history, and are written back, since
    /// who wrote them may have gone with what it knew. What is known already changes nothing, however
    /// often it is said: whoever has access to the way that news go could push out what is remembered.
    pub fn announced(&mut self, history: History, rows: &[FeedRow], now: Duration) -> Announced {
        let Some(known) = self.known_history() else {
            if self.early.len() >= EARLY_MAX {
                self.early.pop_front();
            }
            self.early.push_back(Early { history, rows: rows.to_vec(), at: now });
            return Announced::default();
        };
        if known.record != history.record {
            return Announced::default();
        }
        match &self.phase {
            Phase::Following(view) if view.history() == history => {
                let new = rows.iter().filter(|row| !view.has_seen(row.at)).copied();
                let new: Vec<_> = new.collect();
                if !new.is_empty() {
                    self.wrote(&new, now);
                }
                Announced { is_new: !new.is_empty(), copies_are_void: false }
            }
            Phase::Following(_) | Phase::Forked(_) | Phase::Blind => {
                self.announced_elsewhere(rows, now)
            }
        }
    }

    fn announced_elsewhere(&mut self, rows: &[FeedRow], now: Duration) -> Announced {
        let kinds = rows.iter().map(|row| row.kind);
        let copies_are_void =
            kinds.clone().any(|kind| matches!(kind, FeedKind::Everything | FeedKind::Unknown(_)));
        let new: Vec<_> = kinds.filter(|kind| self.names.learn_elsewhere(*kind, now)).collect();
        let is_new = !new.is_empty() || copies_are_void;
        if self.lost.len() < self.limits.remembered_max {
            self.lost.add(LostRevocations::of_ends(new));
        }
        self.forget(now);
        if copies_are_void && matches!(self.phase, Phase::Following(_)) {
            // Whoever it ends, this node cannot tell: the record must say.
            self.names.leave_history();
            self.kept.clear();
            self.phase = Phase::Blind;
        }
        Announced { is_new, copies_are_void }
    }

    /// The history that is followed, or that is being given up.
    #[must_use]
    pub fn known_history(&self) -> Option<History> {
        match &self.phase {
            Phase::Following(view) => Some(view.history()),
            Phase::Forked(from) => Some(*from),
            Phase::Blind => None,
        }
    }
}
