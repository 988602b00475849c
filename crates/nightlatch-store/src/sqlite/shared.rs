//! What the threads of one SQLite record have in common.
//!
//! The writer decides which file is the record: it opens, adopts or refuses it. Readers follow, so
//! that both sides of one node never look at different files.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use nightlatch_core::{Clock, Entropy, FailureClass, RecordClock};

use super::failure::Failure;
use super::file::{FileId, beside};

/// How often a failed opening is tried again, and how often a file is looked at when idle.
pub(super) const RETRY_EVERY: Duration = Duration::from_millis(500);

/// What the threads of one record have in common.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    /// The write-ahead log beside it.
    pub(super) log_path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) record_clock: RecordClock,
    state: Mutex<State>,
    first_opening: Condvar,
}

struct State {
    /// The file that is the record now; `None` until the writer has tried to open it.
    file: Option<Result<FileId, Failure>>,
    /// Why changes fail at present.
    write_failure: Option<FailureClass>,
}

impl Shared {
    pub(super) fn new(path: PathBuf, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            log_path: beside(&path, "-wal"),
            path,
            record_clock: RecordClock::new(Arc::clone(&clock)),
            clock,
            entropy,
            state: Mutex::new(State { file: None, write_failure: None }),
            first_opening: Condvar::new(),
        }
    }

    /// The writer's word on the file.
    pub(super) fn decide(&self, file: Result<FileId, Failure>) {
        self.lock().file = Some(file);
        self.first_opening.notify_all();
    }

    /// The file that is the record. Waits, once in a life, for the writer's first opening.
    pub(super) fn file(&self, wait: Duration) -> Option<Result<FileId, Failure>> {
        let state = self.lock();
        let (state, _timed_out) = self
            .first_opening
            .wait_timeout_while(state, wait, |state| state.file.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        state.file.clone()
    }

    /// Notes why changes fail, or that they do not.
    pub(super) fn note_writes(&self, failure: Option<FailureClass>) {
        self.lock().write_failure = failure;
    }

    /// Why changes fail at present.
    pub(super) fn write_failure(&self) -> Option<FailureClass> {
        self.lock().write_failure
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Plain values: whatever a panicking thread left is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
