//! A copy of the record in one file, taken while others read and write.
//!
//! The copy is written under another name and gets its own when it is whole and on the disk: what
//! has the name of a backup is one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nightlatch_core::{Clock, Deadline, Entropy, StoreError};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use super::{file, past};

/// Pages between two looks at the clock: 4 MiB.
const PAGES_PER_STEP: i32 = 1000;

/// Why there is no backup. Nothing is left at the target.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The target is there already and was left alone.
    #[error("there is a file of this name already")]
    TargetExists,
    /// The target cannot be written.
    #[error("the backup could not be written")]
    Target(#[source] io::Error),
    /// The copy could not be made.
    #[error("the record could not be copied")]
    Copy(#[source] rusqlite::Error),
    /// What was copied is not sound: the original is not, either.
    #[error("the copy is damaged, as the database is: `nightlatch doctor database` says more")]
    Damaged,
    /// The deadline passed.
    #[error("the backup took too long")]
    Deadline,
    /// The record gave no answer.
    #[error("the record could not be read")]
    Record(#[source] StoreError),
}

/// Copies the record to the new file `to`.
pub(super) fn write(
    from: &Connection,
    to: &Path,
    deadline: Deadline,
    (clock, entropy): (&dyn Clock, &dyn Entropy),
) -> Result<(), BackupError> {
    refuse_existing(to)?;
    let unfinished = Unfinished::create(to, entropy)?;
    copy(from, &unfinished.0, deadline, (clock, entropy))?;
    File::open(&unfinished.0).and_then(|file| file.sync_all()).map_err(BackupError::Target)?;
    give_name(&unfinished.0, to)?;
    file::sync_directory(to).map_err(BackupError::Target)
}

fn refuse_existing(to: &Path) -> Result<(), BackupError> {
    match fs::symlink_metadata(to) {
        Ok(_) => Err(BackupError::TargetExists),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::Target(error)),
    }
}

/// A copy that has no name of its own yet; removed unless it gets one.
struct Unfinished(PathBuf);

impl Unfinished {
    fn create(to: &Path, entropy: &dyn Entropy) -> Result<Self, BackupError> {
        let path = file::beside(to, &format!(".{:016x}.unfinished", entropy.bits()));
        file::create(&path).map_err(BackupError::Target)?;
        Ok(Self(path))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It has been renamed, or there is nothing else to be done about it.
        let _ = fs::remove_file(&self.0);
    }
}

fn copy(
    from: &Connection,
    to: &Path,
    deadline: Deadline,
    (clock, entropy): (&dyn Clock, &dyn Entropy),
) -> Result<(), BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags).map_err(BackupError::Copy)?;
    // One snapshot from the first page to the last: without it each commit starts the copy anew.
    let snapshot = from.unchecked_transaction().map_err(BackupError::Copy)?;
    snapshot
        .query_row("SELECT position FROM feed_head", [], |_| Ok(()))
        .map_err(BackupError::Copy)?;
    let backup = Backup::new(&snapshot, &mut target).map_err(BackupError::Copy)?;
    while backup.step(PAGES_PER_STEP).map_err(BackupError::Copy)? != StepResult::Done {
        if deadline.is_over(clock) {
            return Err(BackupError::Deadline);
        }
    }
    drop(backup);
    // The copy is one file, readable where no log can be written.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(BackupError::Copy)?;
    past::mark_copy(&target, entropy, clock.wall()).map_err(BackupError::Copy)?;
    let said: String = target
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(BackupError::Copy)?;
    if said == "ok" { Ok(()) } else { Err(BackupError::Damaged) }
}

/// Renames without ever replacing.
fn give_name(from: &Path, to: &Path) -> Result<(), BackupError> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupError::TargetExists)
        }
        // File systems without hard links: then the look before the copy has to do.
        Err(_) => {
            refuse_existing(to)?;
            fs::rename(from, to).map_err(BackupError::Target)
        }
    }
}
