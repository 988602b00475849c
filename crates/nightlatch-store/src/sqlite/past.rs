//! The notes of a file about its own past.

use nightlatch_core::{Deadline, Entropy, StoreError, Timestamp};
use rusqlite::{Connection, params};

use super::SqliteRecord;
use crate::past::{self, MOVED, Past, RESTORED};

impl SqliteRecord {
    /// What befell the record.
    ///
    /// # Errors
    /// The record's.
    pub async fn past(&self, deadline: Deadline) -> Result<Past, StoreError> {
        self.look("reading its past", deadline, |conn| {
            let mut notes =
                conn.prepare("SELECT name, value FROM shared_secrets WHERE name IN (?1, ?2)")?;
            let notes = notes.query_map([RESTORED, MOVED], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(Past::of(notes.collect::<rusqlite::Result<Vec<_>>>()?))
        })
        .await
    }

    /// Somebody has dealt with the restore.
    ///
    /// # Errors
    /// The record's.
    pub async fn forget_restore(&self, deadline: Deadline) -> Result<(), StoreError> {
        self.change("dealing with a restore", deadline, |change| {
            change.conn.execute("DELETE FROM shared_secrets WHERE name = ?1", [RESTORED])?;
            Ok(())
        })
        .await
    }
}

/// Has a copy say that it is one, and begin a history of its own: what servers, Redis and clients hold of
/// the original is a miss there.
pub(super) fn mark_copy(
    copy: &Connection,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let epoch = (entropy.bits() >> 1).cast_signed();
    copy.execute("UPDATE feed_head SET epoch = ?1", [epoch])?;
    // Whoever lived on the original does not live here.
    copy.execute("DELETE FROM nodes", [])?;
    note(copy, RESTORED, now)
}

/// Has a file say that its content went elsewhere.
#[cfg(feature = "postgres")]
pub(super) fn mark_moved(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    note(conn, MOVED, now)
}

fn note(conn: &Connection, name: &str, now: Timestamp) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO shared_secrets (name, value) VALUES (?1, ?2)";
    conn.execute(sql, params![name, past::value(now)])?;
    Ok(())
}
