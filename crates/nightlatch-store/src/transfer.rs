//! Moving a record from a SQLite file into an empty PostgreSQL, with everybody logged in.
//!
//! All or nothing: the file is locked against changes from the first row to the last, and all that is
//! written there is one transaction, which is committed when the numbers agree. Rows travel as JSON texts,
//! a batch at a time: both databases read and write it by themselves.

mod tables;

use nightlatch_core::StoreError;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

pub(crate) use tables::TABLES;

/// Rows that are under way at once.
pub(crate) const BATCH_ROWS: usize = 1000;

/// Why nothing was moved.
#[derive(Debug, Error)]
pub enum TransferError {
    /// Servers live on the file: what they change meanwhile would be lost.
    #[error(
        "{0} of the servers of this database still live: stop them first (one that was killed counts for 30 s)"
    )]
    ServersLive(u64),
    /// There is something in the other record already.
    #[error("the database that it is to go to is not empty: its table {0} has rows")]
    NotEmpty(String),
    /// What came is not what left. Nothing was kept of it.
    #[error("of {read} rows of {table} {written} have arrived; nothing was kept of them")]
    Miscounted {
        /// Of which table.
        table: &'static str,
        /// How many left.
        read: u64,
        /// How many came.
        written: u64,
    },
    /// The file could not be read.
    #[error("the file that it is to leave could not be read")]
    Source(#[source] StoreError),
    /// The other record did not take it.
    #[error(transparent)]
    Target(#[from] StoreError),
}

/// A secret that lay beside the file, and its name in the record.
pub type KeptSecret<'a> = (&'a str, Vec<u8>);

/// Rows of one table.
pub(crate) struct Batch {
    /// Which of [`TABLES`].
    pub(crate) table: usize,
    /// A JSON list.
    pub(crate) rows: String,
    pub(crate) count: u64,
}

/// A file whose rows are on their way out; it is locked until this is dropped.
pub struct Leaving {
    /// Ends with the last row.
    pub(crate) batches: mpsc::Receiver<Result<Batch, TransferError>>,
    /// Told that all of it has arrived. Dropped without a word, all stays as it was.
    pub(crate) arrived: oneshot::Sender<()>,
    /// Whether the file could note that it is left.
    pub(crate) noted: oneshot::Receiver<bool>,
}

/// How many rows of which table have moved.
#[derive(Clone, Debug, Default)]
pub struct Transferred {
    /// In the order in which they moved.
    pub rows: Vec<(&'static str, u64)>,
    /// Whether the file says now that its content went elsewhere.
    pub is_noted: bool,
}
