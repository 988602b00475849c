//! The record in SQLite: everything of one machine in one file.
//!
//! One thread changes the file and commits waiting changes together, two threads read it, and
//! nothing of SQLite runs on an async worker. Opening is the writer's business and never ends the
//! server: while the file cannot be used, every method says so with the class of the failure.
//!
//! What happens when the file is removed or replaced under us is told in `sqlite/opening.rs`.

mod audit;
mod backup;
mod connection;
mod data;
mod failure;
mod feed;
mod file;
pub mod inspect;
mod job;
#[cfg(feature = "postgres")]
mod leaving;
mod limit;
mod log;
mod migration;
mod mirror;
mod node;
mod opening;
mod past;
mod ports;
mod reader;
mod restore;
mod row;
mod session;
mod shared;
mod sweep;
#[cfg(test)]
mod tests;
mod throttle;
mod token;
mod user;
mod watch;
mod writer;

use std::io;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use nightlatch_core::{
    Clock, Deadline, Entropy, FailureClass, Outcome, StoreError, StoreErrorKind, StoreResult,
};
use rusqlite::Connection;
use thiserror::Error;

pub use self::backup::BackupError;
use self::feed::Change;
use self::job::{Pending, Reply, job};
use self::reader::{Look, Lookups, Reader, Reading};
use self::shared::Shared;
use self::watch::Watch;
use self::writer::{Order, Work, Writer};

/// Changes that may wait: 16 full groups, some 100 ms of a slow disk.
const CHANGES_MAX: usize = 16 * writer::GROUP_MAX;
/// Look-ups that may wait: some 10 ms of the readers' time.
const LOOKUPS_MAX: usize = 1024;

/// The record in a SQLite file. Dropping it commits what waits and stops its threads.
pub struct SqliteRecord {
    shared: Arc<Shared>,
    watch: Watch,
    orders: Option<SyncSender<Order>>,
    lookups: Option<SyncSender<Box<dyn Reading>>>,
    readers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

/// Why a record could not even be tried. What is wrong with the file is not among the reasons:
/// that may pass.
#[derive(Debug, Error)]
pub enum SqliteOpenError {
    /// The path names nothing on any file system.
    #[error("the path of the database cannot be one")]
    Path(#[source] io::Error),
    /// The system gives no threads.
    #[error("the threads of the database could not be started")]
    Threads(#[source] io::Error),
}

impl SqliteRecord {
    /// Begins to open the file at `path` and returns at once. The file is created by
    /// [`migrate`](nightlatch_core::RecordStore::migrate) if it is not there, its directory never.
    ///
    /// # Errors
    /// [`SqliteOpenError`] when the path cannot be one or threads cannot be started.
    pub fn open(
        path: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SqliteOpenError> {
        // Absolute: SQLite would read a name such as `file:x` as a URI.
        let path = std::path::absolute(path).map_err(SqliteOpenError::Path)?;
        let shared = Arc::new(Shared::new(path, clock, entropy));
        let (orders, to_do) = sync_channel(CHANGES_MAX);
        let (lookups, asked) = sync_channel(LOOKUPS_MAX);
        let asked: Lookups = Arc::new(Mutex::new(asked));
        let writer = Writer::new(Arc::clone(&shared), to_do);
        let mut record = Self {
            shared: Arc::clone(&shared),
            watch: Watch::default(),
            orders: Some(orders),
            lookups: Some(lookups),
            readers: Vec::new(),
            writer: None,
        };
        record.writer = Some(start("sqlite-writer", move || writer.run())?);
        for _ in 0..reader::THREADS {
            let reader = Reader::new(Arc::clone(&shared), Arc::clone(&asked));
            record.readers.push(start("sqlite-reader", move || reader.run())?);
        }
        Ok(record)
    }

    /// Commits what waits, copies the log back into the file and stops the threads. Blocks until
    /// that is done. Dropping does the same.
    pub fn close(self) {
        drop(self);
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Why changes fail at present, as far as known: a full or read-only disk is not seen by a
    /// probe, which reads. `None` within a second after the cause has gone.
    #[must_use]
    pub fn write_failure(&self) -> Option<FailureClass> {
        self.shared.write_failure()
    }

    /// Copies the record to the new file `to`, while others go on reading and writing.
    ///
    /// # Errors
    /// [`BackupError`]; then there is nothing at `to` that was not there before.
    pub async fn backup(&self, to: &Path, deadline: Deadline) -> Result<(), BackupError> {
        let (to, shared) = (to.to_owned(), Arc::clone(&self.shared));
        self.look("backup", deadline, move |conn| {
            let ports = (&*shared.clock, &*shared.entropy);
            Ok(backup::write(conn, &to, deadline, ports))
        })
        .await
        .map_err(BackupError::Record)?
    }

    /// Has the writer run `work` in a savepoint and waits until it is committed. It is run again
    /// if its group was rolled back because of another change.
    fn change<T, F>(&self, doing: &'static str, deadline: Deadline, work: F) -> StoreResult<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&Change<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, pending) = job(doing, deadline);
        let sent =
            self.order(doing, Order::Change(Box::new(Work { reply, run: work, result: None })));
        self.outcome(sent, pending, Outcome::Unknown)
    }

    /// Has the schema brought up to this release.
    fn order_migration(&self, deadline: Deadline) -> StoreResult<'_, Vec<String>> {
        let (reply, pending): (Reply<Vec<String>>, _) = job("migrating", deadline);
        let sent = self.order("migrating", Order::Migrate(reply));
        self.outcome(sent, pending, Outcome::Unknown)
    }

    /// Has a reader run `work`.
    fn look<T, F>(&self, doing: &'static str, deadline: Deadline, work: F) -> StoreResult<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, pending) = job(doing, deadline);
        let lookups = self.lookups.as_ref().expect("only dropping takes it");
        let sent = lookups.try_send(Box::new(Look { reply, work }));
        self.outcome(sent.map_err(|full| refused(&full, doing)), pending, Outcome::NotApplied)
    }

    fn order(&self, doing: &'static str, order: Order) -> Result<(), StoreError> {
        let orders = self.orders.as_ref().expect("only dropping takes it");
        orders.try_send(order).map_err(|full| refused(&full, doing))
    }

    fn outcome<T: Send + 'static>(
        &self,
        sent: Result<(), StoreError>,
        pending: Pending<T>,
        if_begun: Outcome,
    ) -> StoreResult<'_, T> {
        Box::pin(async move {
            sent?;
            let trouble = || match if_begun {
                Outcome::Unknown => self.shared.write_failure(),
                Outcome::NotApplied => None,
            };
            pending.wait(&*self.shared.clock, if_begun, trouble).await
        })
    }
}

impl Drop for SqliteRecord {
    fn drop(&mut self) {
        // Readers first: the last connection to close leaves one file without a log.
        self.lookups = None;
        for reader in self.readers.drain(..) {
            // A thread that panicked has been heard of already, by its panic.
            let _ = reader.join();
        }
        self.orders = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn start(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, SqliteOpenError> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(SqliteOpenError::Threads)
}

fn refused<T>(why: &TrySendError<T>, doing: &'static str) -> StoreError {
    let (kind, class) = match why {
        TrySendError::Full(_) => (StoreErrorKind::Overloaded, FailureClass::Busy),
        TrySendError::Disconnected(_) => (StoreErrorKind::Unavailable, FailureClass::Closed),
    };
    StoreError::new(kind, class, Outcome::NotApplied, doing)
}
