//! Noticing that the feed has moved, by whichever process: SQLite tells nobody.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nightlatch_core::{AsOf, Deadline, FeedStore, Head, History};
use tokio::time::sleep;

use super::SqliteRecord;

/// How often it is looked at. Each look is one cached page.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The longest one look may take.
const LOOK_LIMIT: Duration = Duration::from_millis(250);

/// Where the feed was seen last.
#[derive(Default)]
pub(super) struct Watch(Mutex<Option<(History, AsOf)>>);

impl Watch {
    fn has_moved_to(&self, head: &Head) -> bool {
        let seen = (head.history, head.newest);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.replace(seen) != Some(seen)
    }
}

impl SqliteRecord {
    pub(super) async fn until_feed_has_moved(&self) {
        loop {
            // First: whoever waits has just looked by itself.
            sleep(LOOK_EVERY).await;
            let deadline = Deadline::within(&*self.shared.clock, LOOK_LIMIT);
            // While nobody can look, nobody can say that something is new.
            if let Ok(news) = self.poll_feed(None, 0, deadline).await
                && self.watch.has_moved_to(&news.head)
            {
                return;
            }
        }
    }
}
