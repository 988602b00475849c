//! Opening the database file with the settings that the record's promises rest on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::failure::{Failure, Fault};
use super::file::{self, FileId};
use super::limit::Limit;
use super::migration::SchemaFault;

/// How long opening may wait for somebody else's lock.
const OPENING_MAX: Duration = Duration::from_secs(1);
/// Every statement of the record has a place.
const STATEMENTS_MAX: usize = 64;

/// What a connection is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The one that changes the record.
    Writer,
    /// One of those that only read.
    Reader,
}

/// An open connection and the file that it is open on.
pub(super) struct Link {
    pub(super) conn: Connection,
    pub(super) file: FileId,
    /// How many pages the log had after the latest commit.
    pub(super) log_pages: Arc<AtomicI32>,
}

impl Link {
    /// Opens the file that `path` names. It must be there: creating it is a decision of its own.
    pub(super) fn open(path: &Path, role: Role, limit: &Arc<Limit>) -> Result<Self, Failure> {
        let Some(file) = FileId::at(path)? else {
            return Err(Failure::of(Fault::Missing));
        };
        // SQLite would open it read-only, and as long as one connection of this process is, no
        // other can write: they share the index of the log.
        file::check_rights(path)?;
        limit.set_within(OPENING_MAX);
        // Without a mutex: each connection belongs to one thread.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn =
            Connection::open_with_flags(path, flags).map_err(|e| Failure::opening(e, path))?;
        configure(&mut conn, role, limit).map_err(|e| Failure::opening(e, path))?;
        let log_pages = Arc::new(AtomicI32::new(0));
        if role == Role::Writer {
            let pages = Arc::clone(&log_pages);
            conn.wal_hook(Some(move |_: &mut Wal, now: i32| {
                pages.store(now, Ordering::Relaxed);
                Ok(())
            }))?;
        }
        // Nobody may have changed what the path names while SQLite opened it.
        file.check(path)?;
        Ok(Self { conn, file, log_pages })
    }
}

pub(super) fn configure(
    conn: &mut Connection,
    role: Role,
    limit: &Arc<Limit>,
) -> rusqlite::Result<()> {
    limit.guard(conn)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Else a statement whose plan might depend on a value (here: whether a partial index fits) is
    // compiled anew for every execution, cached or not: two thirds of a look-up's time.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // mmap_size 0: an I/O error under a memory map is a SIGBUS and kills the process.
    // FULL: an acknowledged login must survive a loss of power.
    // wal_autocheckpoint 0: the writer checkpoints by itself, after it has answered.
    conn.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -16384;
         PRAGMA mmap_size = 0;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA wal_autocheckpoint = 0;",
    )?;
    match role {
        Role::Writer => Ok(()),
        Role::Reader => conn.execute_batch("PRAGMA query_only = ON;"),
    }
}

/// Has changes go to a write-ahead log, so that readers never wait for the writer.
pub(super) fn use_write_ahead_log(conn: &Connection, limit: &Limit) -> Result<(), SchemaFault> {
    let mode: String = conn.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if mode == "wal" {
        return Ok(());
    }
    let mode = loop {
        let changed = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match changed {
            // SQLite reads the file before it locks it to change the mode, and does not ask its
            // busy handler where two do so at once: each would wait for the other's reading.
            Err(error) if is_busy(&error) && limit.wait_for_lock() => {}
            changed => break changed?,
        }
    };
    if mode == "wal" { Ok(()) } else { Err(SchemaFault::NoLog { mode }) }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use nightlatch_core::SystemClock;

    use super::super::file;
    use super::*;

    #[test]
    fn a_log_that_another_process_begins_as_well_is_waited_for() {
        for _round in 0..200 {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("n.db");
            file::create(&path).expect("the folder takes a file");
            let ready = Barrier::new(4);
            thread::scope(|scope| {
                for _process in 0..4 {
                    scope.spawn(|| {
                        let limit = Limit::new(Arc::new(SystemClock));
                        let link = Link::open(&path, Role::Writer, &limit).expect("it is there");
                        ready.wait();
                        use_write_ahead_log(&link.conn, &limit).expect("whoever else does it");
                    });
                }
            });
        }
    }
}
