//! Keeping the write-ahead log short.
//!
//! SQLite would copy the log back inside the commit that makes it long, on the time of whoever
//! waits for that commit. The writer does it after it has answered.

use std::sync::atomic::Ordering;

use rusqlite::wal::CheckpointMode;

use super::connection::Link;

/// The log is copied back from this many pages on: 4 MiB.
const PAGES_MAX: i32 = 1000;

/// When to copy the log back next.
pub(super) struct Log {
    due_at_pages: i32,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { due_at_pages: PAGES_MAX }
    }

    /// Copies the log back if it has become long.
    pub(super) fn shorten(&mut self, link: &Link) -> rusqlite::Result<()> {
        let pages = link.log_pages.load(Ordering::Relaxed);
        if pages < self.due_at_pages {
            return Ok(());
        }
        // If it fails, or a reader of another process holds pages back, the next try is not made
        // before the log has grown by as much again.
        self.due_at_pages = pages.saturating_add(PAGES_MAX);
        let (total, copied) = link.conn.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE)?;
        if copied >= total {
            self.due_at_pages = PAGES_MAX;
            link.log_pages.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Copies all of the log back and empties it.
    pub(super) fn empty(link: &Link) -> rusqlite::Result<()> {
        link.conn.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE).map(|_pages| ())
    }
}
