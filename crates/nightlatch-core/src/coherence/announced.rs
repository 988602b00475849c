//! What other nodes announce beside the feed (DESIGN 2.1, rule 3): it binds this node at once, and
//! confirms nothing.

use std::time::Duration;

use super::{Coherence, Phase};
use crate::{FeedKind, FeedRow, History, LostRevocations};

impl Coherence {
    /// Another node has written rows to a history of this record. Whether every copy is void.
    ///
    /// It is a row that the feed must have, as if this node had written it. Of a history that is not
    /// followed, here or there: names have ended in whichever history, and are written back, since
    /// who wrote them may have gone with what it knew.
    pub fn announced(&mut self, history: History, rows: &[FeedRow], now: Duration) -> bool {
        let Some(followed) = self.known_history() else { return false };
        if followed.record != history.record {
            return false;
        }
        if self.history() == Some(history) {
            self.wrote(rows, now);
            return false;
        }
        for row in rows {
            self.names.learn_elsewhere(row.kind, now);
        }
        let kinds = rows.iter().map(|row| row.kind);
        if self.lost.len() < self.limits.remembered_max {
            self.lost.add(LostRevocations::of_ends(kinds.clone()));
        }
        self.forget(now);
        let mut kinds = kinds;
        let is_void = kinds.any(|kind| matches!(kind, FeedKind::Everything | FeedKind::Unknown(_)));
        if is_void && matches!(self.phase, Phase::Following(_)) {
            // Whoever it ends, this node cannot tell: the record must say.
            self.names.leave_history();
            self.kept.clear();
            self.phase = Phase::Blind;
        }
        is_void
    }

    /// The history that is followed, or that is being given up.
    pub(super) fn known_history(&self) -> Option<History> {
        match &self.phase {
            Phase::Following(view) => Some(view.history()),
            Phase::Forked(from) => Some(*from),
            Phase::Blind => None,
        }
    }
}
