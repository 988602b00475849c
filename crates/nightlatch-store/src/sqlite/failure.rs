//! What goes wrong beneath the SQLite record, classified where it enters.
//!
//! One failure may have to be told to every change of a group, so it can be cloned.

use std::io;
use std::path::Path;
use std::sync::Arc;

use nightlatch_core::{FailureClass, Outcome, StoreError, StoreErrorKind};
use rusqlite::ErrorCode;
use rustix::fs::Access;
use thiserror::Error;

use super::migration::SchemaFault;

/// A failure with its class. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) kind: StoreErrorKind,
    pub(super) class: FailureClass,
    fault: Arc<Fault>,
}

/// What exactly went wrong, for the log.
#[derive(Debug, Error)]
pub(super) enum Fault {
    #[error("SQLite gave an error")]
    Sqlite(#[source] rusqlite::Error),
    #[error("the database file cannot be used")]
    File(#[source] io::Error),
    #[error("the database file is not there")]
    Missing,
    #[error("the database file is not a regular file")]
    NotAFile,
    #[error("the database file is not the one that was opened")]
    Replaced,
    #[error("the file does not hold a usable record")]
    Schema(#[source] SchemaFault),
    #[error("the deadline had passed before its turn")]
    TooLate,
}

impl Failure {
    pub(super) fn of(fault: Fault) -> Self {
        let (kind, class) = match &fault {
            Fault::Sqlite(error) | Fault::Schema(SchemaFault::Sqlite(error)) => classify(error),
            Fault::File(error) => (StoreErrorKind::Unavailable, classify_io(error)),
            Fault::Missing | Fault::NotAFile | Fault::Replaced => {
                (StoreErrorKind::Unavailable, FailureClass::Missing)
            }
            Fault::Schema(
                SchemaFault::NotMigrated
                | SchemaFault::Foreign
                | SchemaFault::Changed { .. }
                | SchemaFault::NoLog { .. },
            ) => (StoreErrorKind::Unavailable, FailureClass::Schema),
            Fault::TooLate => (StoreErrorKind::Deadline, FailureClass::Timeout),
        };
        Self { kind, class, fault: Arc::new(fault) }
    }

    /// A failure to open the file at `path`. SQLite says only that it cannot; the path says why.
    pub(super) fn opening(error: rusqlite::Error, path: &Path) -> Self {
        if error.sqlite_error_code() != Some(ErrorCode::CannotOpen) {
            return Self::of(Fault::Sqlite(error));
        }
        let asked = rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK);
        let class = asked
            .map_or_else(|errno| classify_io(&io::Error::from(errno)), |()| classify(&error).1);
        let kind = StoreErrorKind::Unavailable;
        Self { kind, class, fault: Arc::new(Fault::Sqlite(error)) }
    }

    /// Whether the connection it came from should be opened anew: it may hold what was read from
    /// a file that has since been repaired, or rights that have since changed.
    pub(super) fn taints_connection(&self) -> bool {
        self.is_of_the_file()
            && matches!(
                self.class,
                FailureClass::IoError
                    | FailureClass::Corrupt
                    | FailureClass::Readonly
                    | FailureClass::Forbidden
                    | FailureClass::Missing
                    | FailureClass::Schema
            )
    }

    /// Whether it tells of the file, and not only of the work that met it.
    pub(super) fn is_of_the_file(&self) -> bool {
        self.kind == StoreErrorKind::Unavailable
    }

    /// What exactly went wrong.
    pub(super) fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The error for a caller.
    pub(super) fn to_error(&self, outcome: Outcome, doing: &'static str) -> StoreError {
        StoreError::new(self.kind, self.class, outcome, doing).with_source(Arc::clone(&self.fault))
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::of(Fault::Sqlite(error))
    }
}

impl From<SchemaFault> for Failure {
    fn from(fault: SchemaFault) -> Self {
        Self::of(Fault::Schema(fault))
    }
}

/// The class of an error.
pub(super) fn class_of(error: &rusqlite::Error) -> FailureClass {
    classify(error).1
}

fn classify(error: &rusqlite::Error) -> (StoreErrorKind, FailureClass) {
    use rusqlite::Error;
    match error {
        Error::SqliteFailure(cause, _) | Error::SqlInputError { error: cause, .. } => {
            classify_code(cause.code, cause.extended_code)
        }
        // A path that SQLite cannot take names no file.
        Error::NulError(_) | Error::InvalidPath(_) => {
            (StoreErrorKind::Unavailable, FailureClass::Missing)
        }
        // What is left is a row that makes no sense, or a statement of ours that does not.
        _ => (StoreErrorKind::Corrupt, FailureClass::Corrupt),
    }
}

fn classify_code(code: ErrorCode, extended: i32) -> (StoreErrorKind, FailureClass) {
    use StoreErrorKind::{Corrupt, Deadline, Unavailable};
    match (code, extended) {
        // SQLite itself noticed that the file was moved or removed.
        (_, rusqlite::ffi::SQLITE_READONLY_DBMOVED) => (Unavailable, FailureClass::Missing),
        (_, rusqlite::ffi::SQLITE_IOERR_NOMEM) | (ErrorCode::OutOfMemory, _) => {
            (Unavailable, FailureClass::OutOfMemory)
        }
        (ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied, _) => {
            (Unavailable, FailureClass::Forbidden)
        }
        (
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed,
            _,
        ) => (Unavailable, FailureClass::Locked),
        (ErrorCode::ReadOnly, _) => (Unavailable, FailureClass::Readonly),
        // Only our own deadline interrupts statements.
        (ErrorCode::OperationInterrupted | ErrorCode::OperationAborted, _) => {
            (Deadline, FailureClass::Timeout)
        }
        (ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::NoLargeFileSupport, _) => {
            (Unavailable, FailureClass::IoError)
        }
        (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => {
            (Unavailable, FailureClass::Corrupt)
        }
        (ErrorCode::DiskFull, _) => (Unavailable, FailureClass::DiskFull),
        // "No such table" and the like: somebody changed the schema beneath us.
        (ErrorCode::SchemaChanged | ErrorCode::Unknown, _) => (Unavailable, FailureClass::Schema),
        (
            ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::ApiMisuse
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::InternalMalfunction
            | ErrorCode::NotFound,
            _,
        ) => (Corrupt, FailureClass::Protocol),
        // Codes of later SQLite versions: the driver's list is open.
        (_, _) => (Unavailable, FailureClass::IoError),
    }
}

fn classify_io(error: &io::Error) -> FailureClass {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FailureClass::Missing,
        io::ErrorKind::PermissionDenied => FailureClass::Forbidden,
        io::ErrorKind::ReadOnlyFilesystem => FailureClass::Readonly,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureClass::DiskFull,
        io::ErrorKind::OutOfMemory => FailureClass::OutOfMemory,
        // The list of kinds is open; whatever it is, it came from beneath the file.
        _ => FailureClass::IoError,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn what_sqlite_says_has_the_class_that_an_operator_can_act_on() {
        for (code, class) in [
            (ffi::SQLITE_BUSY, FailureClass::Locked),
            (ffi::SQLITE_FULL, FailureClass::DiskFull),
            (ffi::SQLITE_READONLY, FailureClass::Readonly),
            (ffi::SQLITE_READONLY_DBMOVED, FailureClass::Missing),
            (ffi::SQLITE_IOERR_FSYNC, FailureClass::IoError),
            (ffi::SQLITE_IOERR_NOMEM, FailureClass::OutOfMemory),
            (ffi::SQLITE_CORRUPT, FailureClass::Corrupt),
            (ffi::SQLITE_NOTADB, FailureClass::Corrupt),
            (ffi::SQLITE_INTERRUPT, FailureClass::Timeout),
            (ffi::SQLITE_PERM, FailureClass::Forbidden),
            (ffi::SQLITE_ERROR, FailureClass::Schema),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(Failure::from(error).class, class, "{code}");
        }
    }

    #[test]
    fn a_file_error_has_the_class_that_an_operator_can_act_on() {
        for (kind, class) in [
            (io::ErrorKind::NotFound, FailureClass::Missing),
            (io::ErrorKind::PermissionDenied, FailureClass::Forbidden),
            (io::ErrorKind::ReadOnlyFilesystem, FailureClass::Readonly),
            (io::ErrorKind::StorageFull, FailureClass::DiskFull),
            (io::ErrorKind::Other, FailureClass::IoError),
        ] {
            assert_eq!(Failure::of(Fault::File(kind.into())).class, class);
        }
    }
}
