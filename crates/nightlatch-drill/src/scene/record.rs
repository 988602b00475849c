//! The record of the private set-up: a file, or a database that is given.

use std::path::Path;
use std::time::Duration;

use nightlatch_core::Secret;
use rusqlite::Connection;

use super::SceneError;
use crate::proxy::Place;

/// How long the servers' own changes may take before a lock is had.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// Which record the servers share.
#[derive(Clone, Debug)]
pub enum RecordRequest {
    /// An SQLite file in the drill's folder.
    File,
    /// A `PostgreSQL` database whose schema of this name is the drill's alone.
    Postgres {
        /// Where.
        place: Place,
        /// The URL up to its host.
        before: Secret<String>,
        /// The URL from behind its port on.
        after: String,
        /// The password, where the URL holds none.
        password: Option<Secret<String>>,
        /// The schema.
        schema: String,
    },
}

/// Another process at the file of the record, which holds the lock that every change needs. Dropped, it
/// lets go.
pub(crate) struct FileLock(#[expect(dead_code, reason = "it is held")] Connection);

impl FileLock {
    /// Takes it. Blocks this thread for as long as a change of a server takes: nothing else of a drill
    /// has to go on meanwhile that does so on this one.
    pub(crate) fn take(file: &Path) -> Result<Self, SceneError> {
        let locked = Connection::open(file).and_then(|connection| {
            connection.busy_timeout(BUSY_LIMIT)?;
            connection.execute_batch("PRAGMA wal_autocheckpoint = 0; BEGIN EXCLUSIVE")?;
            Ok(connection)
        });
        locked.map(Self).map_err(|error| SceneError::Lock(error.to_string()))
    }
}
