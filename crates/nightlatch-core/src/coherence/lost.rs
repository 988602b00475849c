//! What is to be written back after a fork, batch by batch.

use std::collections::BTreeSet;

use crate::LostRevocations;

/// Revocations that the record may have lost, as far as they are not written back yet.
#[derive(Debug, Default)]
pub(super) struct Lost(LostRevocations);

impl Lost {
    /// Adds what a fork has lost. Of a user who is in it twice each part is written.
    pub(super) fn add(&mut self, lost: LostRevocations) {
        self.0.sessions.extend(lost.sessions);
        self.0.sessions.sort_unstable();
        self.0.sessions.dedup();
        self.0.users.extend(lost.users);
        self.0.everything |= lost.everything;
    }

    /// Whether an end of everything waits.
    pub(super) const fn is_everything(&self) -> bool {
        self.0.everything
    }

    /// How many names wait.
    pub(super) const fn len(&self) -> usize {
        self.0.sessions.len() + self.0.users.len()
    }

    /// At most `max` names of it; `None`: nothing is left. What ends everything comes first and by
    /// itself: with others it would be repeated while one of them cannot be written.
    pub(super) fn first(&self, max: usize) -> Option<LostRevocations> {
        let Self(LostRevocations { sessions, users, everything }) = self;
        if sessions.is_empty() && users.is_empty() && !everything {
            return None;
        }
        if *everything {
            return Some(LostRevocations { everything: true, ..LostRevocations::default() });
        }
        let users: Vec<_> = users.iter().take(max).copied().collect();
        let room = max.saturating_sub(users.len());
        let sessions = sessions.iter().take(room).copied().collect();
        Some(LostRevocations { sessions, users, everything: false })
    }

    pub(super) fn remove(&mut self, batch: &LostRevocations) {
        let sessions: BTreeSet<_> = batch.sessions.iter().copied().collect();
        self.0.sessions.retain(|id| !sessions.contains(id));
        self.0.users.retain(|user| !batch.users.contains(user));
        self.0.everything &= !batch.everything;
    }
}
