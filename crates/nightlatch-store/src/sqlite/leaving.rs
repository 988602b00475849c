//! The file as the source of a move: read by a thread that keeps everybody from changing it.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nightlatch_core::{Clock, Deadline, Outcome, StoreError};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::connection::{Link, Role};
use super::failure::Failure;
use super::limit::Limit;
use super::{migration, past};
use crate::transfer::{BATCH_ROWS, Batch, Leaving, TABLES, TransferError};

/// A server whose heartbeat is older is none.
const LIVES: Duration = Duration::from_secs(30);

/// How long somebody else's change is waited for.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// Batches that are read ahead.
const AHEAD: usize = 2;

const DOING: &str = "reading the file";

impl Leaving {
    /// Begins to read the file at `path`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn begin(
        path: &Path,
        deadline: Deadline,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, std::io::Error> {
        let path = std::path::absolute(path)?;
        let (batch, batches) = mpsc::channel(AHEAD);
        let (arrived, has_arrived) = oneshot::channel();
        let (note, noted) = oneshot::channel();
        let reading = move || {
            let left = leave(&path, (deadline, &clock), &batch, has_arrived);
            let is_noted = left.unwrap_or_else(|error| {
                // Nobody who would hear it: then it is over already.
                let _ = batch.blocking_send(Err(error));
                false
            });
            let _ = note.send(is_noted);
        };
        thread::Builder::new().name("sqlite-leaving".to_owned()).spawn(reading)?;
        Ok(Self { batches, arrived, noted })
    }
}

/// Sends all there is, and waits for the word that it is there; whether the file says so now.
fn leave(
    path: &Path,
    (deadline, clock): (Deadline, &Arc<dyn Clock>),
    batch: &mpsc::Sender<Result<Batch, TransferError>>,
    has_arrived: oneshot::Receiver<()>,
) -> Result<bool, TransferError> {
    let limit = Limit::new(Arc::clone(clock));
    let link = Link::open(path, Role::Writer, &limit).map_err(unread)?;
    let conn = &link.conn;
    limit.set_within(LOCK_LIMIT);
    migration::check(conn).map_err(unread)?;
    conn.execute_batch("BEGIN IMMEDIATE").map_err(unread)?;
    limit.set(deadline);
    let now = clock.wall();
    let sql = "SELECT count(*) FROM nodes WHERE beat_at > ?1";
    let since = now.before(LIVES).as_micros();
    let living: i64 = conn.query_row(sql, [since], |row| row.get(0)).map_err(unread)?;
    if living > 0 {
        return Err(TransferError::ServersLive(living.unsigned_abs()));
    }
    for (table, it) in TABLES.iter().enumerate() {
        if !send_all(conn, (table, it.read), batch).map_err(unread)? {
            return Ok(false);
        }
    }
    // Who receives sees the end by it.
    let end = Batch { table: TABLES.len(), rows: String::new(), count: 0 };
    if batch.blocking_send(Ok(end)).is_err() || has_arrived.blocking_recv().is_err() {
        return Ok(false);
    }
    let noted = past::mark_moved(conn, now).and_then(|()| conn.execute_batch("COMMIT"));
    Ok(noted.is_ok())
}

/// Sends a table in batches; whether anybody still receives.
fn send_all(
    conn: &Connection,
    (table, sql): (usize, &str),
    batch: &mpsc::Sender<Result<Batch, TransferError>>,
) -> rusqlite::Result<bool> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut next = Batch { table, rows: String::new(), count: 0 };
    // Bounded by the table, which nobody can add to.
    loop {
        let row = rows.next()?;
        if let Some(row) = row {
            let row: String = row.get(0)?;
            next.rows.push(if next.count == 0 { '[' } else { ',' });
            next.rows.push_str(&row);
            next.count += 1;
            if next.count < BATCH_ROWS as u64 {
                continue;
            }
        } else if next.count == 0 {
            return Ok(true);
        }
        next.rows.push(']');
        let fresh = Batch { table, rows: String::new(), count: 0 };
        if batch.blocking_send(Ok(std::mem::replace(&mut next, fresh))).is_err() {
            return Ok(false);
        }
    }
}

fn unread(error: impl Into<Failure>) -> TransferError {
    let error: StoreError = error.into().to_error(Outcome::NotApplied, DOING);
    TransferError::Source(error)
}
