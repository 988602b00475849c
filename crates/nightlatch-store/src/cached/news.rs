//! News that nodes tell each other beside the feed: faster, and never proof.
//!
//! A node that is cut off from the record still learns by them what has ended. They add to what is
//! known and confirm none of it.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{Announcer, FeedRow, History, SessionEnd, Timestamp};

use super::CachedRecord;

/// News that are older than this, or of so far in the future, are not heard: whoever has access to
/// the way they go could say again what is over. The clocks of two nodes may be 2 s apart.
const AGE_MAX: Duration = Duration::from_secs(5);

/// The most rows that are told at once.
const ROWS_MAX: usize = 256;

/// What a node tells the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// These rows have been written to the feed.
    Ended(Vec<FeedRow>),
    /// A logout waits for the record.
    Pending(SessionEnd),
}

/// News, and what they are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The history that the node follows.
    pub history: History,
    /// When it said so, in record time.
    pub said_at: Timestamp,
    /// What it said.
    pub news: News,
}

/// The way by which nodes tell each other.
pub trait Announcements: Send + Sync {
    /// Tells the others, at once or not at all: nobody waits for it.
    fn announce(&self, announcement: Announcement);
}

impl CachedRecord {
    /// What this node writes is told to the others this way, too.
    pub fn announce_by(&self, announcements: Arc<dyn Announcements>) {
        // They are wired once, when the node starts.
        let _ = self.announcements.set(announcements);
    }

    /// Another node has told something: this one is bound by it from now on. A logout that waits
    /// there is the use cases' matter.
    #[must_use]
    pub fn hear(&self, announcement: &Announcement) -> Option<SessionEnd> {
        let now = self.clock.now();
        let Announcement { history, said_at, news } = announcement;
        if now.since(*said_at).max(said_at.since(now)) > AGE_MAX {
            return None;
        }
        match news {
            News::Ended(rows) => {
                let announced = self.rule_mut().announced(*history, rows, self.now());
                if announced.copies_are_void {
                    self.drop_copies();
                }
                if announced.is_new {
                    self.looks.want();
                }
                None
            }
            News::Pending(end) => {
                let is_ours = self.rule().record() == Some(history.record);
                is_ours.then_some(*end)
            }
        }
    }

    pub(super) fn announce_rows(&self, rows: &[FeedRow]) {
        for some in rows.chunks(ROWS_MAX) {
            self.announce(|| News::Ended(some.to_vec()));
        }
    }

    fn announce(&self, news: impl FnOnce() -> News) {
        let Some(announcements) = self.announcements.get() else { return };
        // A node that does not know yet which record it serves has nothing to tell of it.
        let Some(history) = self.rule().known_history() else { return };
        let said_at = self.clock.now();
        announcements.announce(Announcement { history, said_at, news: news() });
    }
}

impl Announcer for CachedRecord {
    fn announce_pending(&self, end: SessionEnd) {
        self.announce(|| News::Pending(end));
    }
}
