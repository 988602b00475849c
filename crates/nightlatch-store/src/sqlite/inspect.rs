//! A look at a SQLite file that has time to find out what is wrong: for doctor, by the openings and the
//! classes of the record, so that both are of one opinion.
//!
//! A file that is not there is not made, and what is tried in one is rolled back.

mod beside;
mod place;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nightlatch_core::{Clock, FailureClass};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connection::{Link, Role};
use super::failure::{Failure, Fault};
use super::limit::Limit;
use super::migration::{self, SchemaFault};

pub use self::place::{Space, SqliteFile, SqliteFolder, SqlitePlace};

/// How long a lock of somebody else is waited for: the record's own are held for milliseconds.
const LOCK_LIMIT: Duration = Duration::from_secs(3);

/// How long the whole file may be read for.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// How long all of it may take: a network's file system may hang.
const LOOK_LIMIT: Duration = Duration::from_secs(15);

/// Looks at one file.
pub struct SqliteInspector {
    path: PathBuf,
    clock: Arc<dyn Clock>,
}

/// What was seen.
#[derive(Debug)]
pub struct SqliteLook {
    /// Where the file is, or would be.
    pub place: SqlitePlace,
    /// What is in it; `None`: it is not there, or may not be opened.
    pub content: Option<Result<SqliteContent, SqliteRefusal>>,
    /// Where it is not there: the names of other records in its folder.
    pub beside: Vec<String>,
}

/// What is in a file that could be opened.
#[derive(Debug)]
pub struct SqliteContent {
    /// The steps of the schema that are not applied yet.
    pub missing: Vec<&'static str>,
    /// The latest step that this release does not know.
    pub newer: Option<i64>,
    /// Why nothing can be changed; `None`: it can.
    pub unwritable: Option<FailureClass>,
    /// Whether the file is sound; `None`: that was not to be known in the time there was.
    pub is_sound: Option<bool>,
}

/// Why a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqliteRefusal {
    /// As health would name it.
    pub class: FailureClass,
    /// What is known besides.
    pub cause: Option<SqliteCause>,
}

/// What is wrong with a file more exactly than by a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqliteCause {
    /// It is no SQLite database, or an encrypted one.
    NoDatabase,
    /// It is another program's.
    Foreign,
    /// A step of the schema was applied with another text than ours.
    Changed(&'static str),
}

impl SqliteInspector {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(path: &Path, clock: Arc<dyn Clock>) -> Self {
        // As the record would: relative to the working directory, and never a URI.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { path, clock }
    }

    /// Looks, on a thread of its own.
    ///
    /// # Errors
    /// The system gives no thread, or the file system no answer.
    pub async fn look(self) -> Result<SqliteLook, FailureClass> {
        let (tell, told) = oneshot::channel();
        let looking = move || {
            let _ = tell.send(self.look_now());
        };
        let thread = thread::Builder::new().name("sqlite-inspector".to_owned()).spawn(looking);
        thread.map_err(|_| FailureClass::Busy)?;
        let looked = timeout(LOOK_LIMIT, told).await.map_err(|_| FailureClass::Timeout)?;
        looked.map_err(|_| FailureClass::IoError)
    }

    fn look_now(&self) -> SqliteLook {
        let place = SqlitePlace::of(&self.path);
        let content = place.may_be_opened().then(|| {
            self.read().map_err(|failure| SqliteRefusal {
                class: failure.class,
                cause: SqliteCause::of(failure.fault()),
            })
        });
        let is_missing = place.file == SqliteFile::Missing;
        let beside = if is_missing { beside::records(&self.path) } else { Vec::new() };
        SqliteLook { place, content, beside }
    }

    fn read(&self) -> Result<SqliteContent, Failure> {
        let limit = Limit::new(Arc::clone(&self.clock));
        let link = Link::open(&self.path, Role::Writer, &limit)?;
        limit.set_within(LOCK_LIMIT);
        let compared = migration::compare(&link.conn)?;
        limit.set_within(LOCK_LIMIT);
        let unwritable = try_to_write(&link.conn).err().map(|failure| failure.class);
        limit.set_within(CHECK_LIMIT);
        let is_sound = check(&link.conn)?;
        let (missing, newer) = (compared.missing, compared.newer);
        Ok(SqliteContent { missing, newer, unwritable, is_sound })
    }
}

/// Changes something, and takes it back.
fn try_to_write(conn: &Connection) -> Result<(), Failure> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let written = conn.execute_batch("CREATE TABLE nightlatch_doctor (x INTEGER) STRICT");
    conn.execute_batch("ROLLBACK")?;
    Ok(written?)
}

/// Reads the whole file, without the order of its indexes.
fn check(conn: &Connection) -> Result<Option<bool>, Failure> {
    let checked = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match checked {
        Ok(said) => Ok(Some(said == "ok")),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted | ErrorCode::DatabaseBusy) => Ok(None),
            Some(ErrorCode::DatabaseCorrupt) => Ok(Some(false)),
            _ => Err(error.into()),
        },
    }
}

impl SqliteCause {
    fn of(fault: &Fault) -> Option<Self> {
        match fault {
            Fault::Schema(SchemaFault::Foreign) => Some(Self::Foreign),
            Fault::Schema(SchemaFault::Changed { name }) => Some(Self::Changed(name)),
            Fault::Sqlite(error) | Fault::Schema(SchemaFault::Sqlite(error)) => {
                let is_none = error.sqlite_error_code() == Some(ErrorCode::NotADatabase);
                is_none.then_some(Self::NoDatabase)
            }
            _ => None,
        }
    }
}
