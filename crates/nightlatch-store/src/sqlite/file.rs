//! The database file as the file system shows it.
//!
//! SQLite goes on writing into a file that was removed or replaced under it. So we compare what
//! the path names with what was opened, before and after each commit: an acknowledged change is in
//! the file that an operator sees.
//!
//! The file is never opened here once SQLite has it: closing any descriptor of a file drops all
//! locks that the process holds on it (POSIX advisory locks).

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::failure::{Failure, Fault};

/// Tells one file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The regular file that `path` names; `None` if it names nothing.
    pub(super) fn at(path: &Path) -> Result<Option<Self>, Failure> {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::of(Fault::File(error))),
        };
        if !meta.is_file() {
            return Err(Failure::of(Fault::NotAFile));
        }
        Ok(Some(Self { device: meta.dev(), inode: meta.ino() }))
    }

    /// Fails unless `path` still names this file.
    pub(super) fn check(self, path: &Path) -> Result<(), Failure> {
        match Self::at(path)? {
            Some(id) if id == self => Ok(()),
            Some(_) => Err(Failure::of(Fault::Replaced)),
            None => Err(Failure::of(Fault::Missing)),
        }
    }
}

/// Creates the empty file, readable by its owner only. Never follows or overwrites what is there.
pub(super) fn create(path: &Path) -> io::Result<()> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match created {
        Ok(_) => sync_directory(path),
        // Another process was faster; it is opened like any other file.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the name of a file as durable as its content.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Fails unless this process may write the file, its log and the index of its log.
pub(super) fn check_rights(path: &Path) -> Result<(), Failure> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    for name in [path, &beside(path, "-wal"), &beside(path, "-shm")] {
        let found = match access(name, Access::READ_OK | Access::WRITE_OK) {
            // It will be made.
            Err(Errno::NOENT) => access(directory.unwrap_or(Path::new(".")), Access::WRITE_OK),
            found => found,
        };
        found.map_err(|errno| Failure::of(Fault::File(errno.into())))?;
    }
    Ok(())
}

/// The name that SQLite gives to a file beside the database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Renames the log that an earlier file left behind. SQLite would replay it into the file that
/// is there now and damage it; its content is kept, as it may be all that is left of that file.
/// Gives its new name, if it was there.
pub(super) fn set_orphaned_log_aside(
    path: &Path,
    log_was: FileId,
) -> Result<Option<PathBuf>, Failure> {
    let log = beside(path, "-wal");
    if FileId::at(&log)? != Some(log_was) {
        return Ok(None);
    }
    let aside = beside(path, &format!("-wal.orphan-{}", log_was.inode));
    fs::rename(&log, &aside).map_err(|error| Failure::of(Fault::File(error)))?;
    remove_log_index(path)?;
    tracing::warn!(
        store.name = "sqlite",
        path = %aside.display(),
        "the database file was replaced; the write-ahead log of the earlier one was set aside"
    );
    Ok(Some(aside))
}

/// Gives a file that is back the log that was set aside when it went: what is only in there was
/// acknowledged. Not if somebody has written to the file meanwhile: then they fit no longer.
pub(super) fn restore_log(path: &Path, aside: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::of(Fault::File(error));
    let log = beside(path, "-wal");
    if FileId::at(&log)?.is_some() || FileId::at(aside)?.is_none() {
        return Ok(());
    }
    let file = fs::metadata(path).map_err(failed)?;
    let kept = fs::metadata(aside).map_err(failed)?;
    // Renaming set the time of change of the log, by the same clock as any write since.
    if (file.mtime(), file.mtime_nsec()) > (kept.ctime(), kept.ctime_nsec()) {
        tracing::warn!(
            store.name = "sqlite",
            path = %aside.display(),
            "an earlier database file is back, but was changed; its write-ahead log stays aside"
        );
        return Ok(());
    }
    remove_log_index(path)?;
    fs::rename(aside, &log).map_err(failed)?;
    tracing::warn!(
        store.name = "sqlite",
        "an earlier database file is back, and has its write-ahead log again"
    );
    Ok(())
}

/// The index is made anew from the log.
fn remove_log_index(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(beside(path, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::of(Fault::File(error)))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
