//! What the threads of one SQLite record have in common.
//!
//! The writer decides which file is the record: it opens, adopts or refuses it. Readers follow, so
//! that both sides of one node never look at different files.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{Clock, Entropy, FailureClass, RecordClock};

use super::failure::Failure;
use super::file::{FileId, beside};
use crate::lookups::Lookups;

/// How often a failed opening is tried again, and how often a file is looked at when idle.
pub(super) const RETRY_EVERY: Duration = Duration::from_millis(500);

/// How long a failed look-up tells of the file: nobody looks for the damaged page in between.
const READ_FAILURE_LASTS: Duration = Duration::from_secs(2);

/// What the threads of one record have in common.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    /// The write-ahead log beside it.
    pub(super) log_path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) record_clock: RecordClock,
    pub(super) lookups: Lookups,
    state: Mutex<State>,
    first_opening: Condvar,
}

/// The file that is the record, as the writer has it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) file: FileId,
    /// Its write-ahead log.
    pub(super) log: Option<FileId>,
    /// Counts the writer's openings: a connection of an earlier one may hold a log that is gone.
    serial: u64,
}

impl Opened {
    /// Fails if the path names another file by now, or the log is another.
    pub(super) fn check(&self, shared: &Shared) -> Result<(), Failure> {
        self.file.check(&shared.path)?;
        self.log.map_or(Ok(()), |log| log.check(&shared.log_path))
    }
}

struct State {
    /// What the writer decided last; `None` until it has tried to open the file.
    opened: Option<Result<Opened, Failure>>,
    openings: u64,
    /// Why changes fail at present.
    write_failure: Option<FailureClass>,
    /// Why a look-up failed last, and when.
    read_failure: Option<(FailureClass, Duration)>,
}

impl Shared {
    pub(super) fn new(path: PathBuf, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            log_path: beside(&path, "-wal"),
            path,
            record_clock: RecordClock::new(Arc::clone(&clock)),
            clock,
            entropy,
            lookups: Lookups::default(),
            state: Mutex::new(State {
                opened: None,
                openings: 0,
                write_failure: None,
                read_failure: None,
            }),
            first_opening: Condvar::new(),
        }
    }

    /// The writer has opened the file.
    pub(super) fn adopt(&self, file: FileId, log: Option<FileId>) -> Opened {
        let mut state = self.lock();
        state.openings += 1;
        let opened = Opened { file, log, serial: state.openings };
        state.opened = Some(Ok(opened));
        self.first_opening.notify_all();
        opened
    }

    /// The writer has no usable file.
    pub(super) fn refuse(&self, failure: Failure) {
        self.lock().opened = Some(Err(failure));
        self.first_opening.notify_all();
    }

    /// The file that is the record. Waits, once in a life, for the writer's first opening.
    pub(super) fn opened(&self, wait: Duration) -> Option<Result<Opened, Failure>> {
        let state = self.lock();
        let (state, _timed_out) = self
            .first_opening
            .wait_timeout_while(state, wait, |state| state.opened.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        state.opened.clone()
    }

    /// Notes why changes fail, or that they do not.
    pub(super) fn note_writes(&self, failure: Option<FailureClass>) {
        self.lock().write_failure = failure;
    }

    /// Why changes fail at present.
    pub(super) fn write_failure(&self) -> Option<FailureClass> {
        self.lock().write_failure
    }

    /// Notes why a look-up failed. Others may succeed: a damaged page is met by some only.
    pub(super) fn note_failed_read(&self, failure: FailureClass) {
        let now = self.clock.boottime();
        self.lock().read_failure = Some((failure, now));
    }

    /// Why a look-up failed just now.
    pub(super) fn read_failure(&self) -> Option<FailureClass> {
        let now = self.clock.boottime();
        let is_recent = |at: Duration| now.saturating_sub(at) < READ_FAILURE_LASTS;
        let failure = self.lock().read_failure.filter(|(_, at)| is_recent(*at));
        failure.map(|(class, _)| class)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain values: whatever a panicking thread left is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
