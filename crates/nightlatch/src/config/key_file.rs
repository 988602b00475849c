//! The file beside the SQLite database that keeps the generated secret.
//!
//! Two servers may start at the same moment on the same directory: whoever links the file first
//! wins, both read what stands there, and nobody ever sees half of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nightlatch_core::{Entropy, MasterKeys};
use thiserror::Error;

use super::secrets::{self, DamagedSecret};
use super::source::read_bounded;

/// A generated secret and the file it is kept in.
#[derive(Debug)]
pub struct KeptKeys {
    /// The keys.
    pub keys: MasterKeys,
    /// The file.
    pub path: PathBuf,
    /// Whether this call made it.
    pub is_new: bool,
    /// Whether others than the owner may read it.
    pub is_exposed: bool,
}

/// Why the secret could not be kept.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file system refused.
    #[error("the generated secret cannot be kept in {path}; set SESSION_SECRET_KEY instead")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{path} holds no secret; restore it, set SESSION_SECRET_KEY, or remove it (which ends all sessions)"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it is not.
        #[source]
        source: DamagedSecret,
    },
}

/// The secret kept beside the database, made now if there is none.
///
/// # Errors
/// [`KeyFileError`] when it can neither be read nor made.
pub fn keep_beside(database: &Path, entropy: &dyn Entropy) -> Result<KeptKeys, KeyFileError> {
    let path = beside(database);
    let io_error = |source| KeyFileError::Io { path: path.clone(), source };
    let is_new = match fs::metadata(&path) {
        Ok(_) => false,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(&path, entropy).map_err(io_error)?
        }
        Err(error) => return Err(io_error(error)),
    };
    let text = read_bounded(&path, KEY_FILE_BYTES_MAX).map_err(io_error)?;
    let mode = fs::metadata(&path).map_err(io_error)?.permissions().mode();
    let keys = secrets::kept_keys(text.expose().as_bytes())
        .map_err(|source| KeyFileError::Damaged { path: path.clone(), source })?;
    Ok(KeptKeys { keys, path, is_new, is_exposed: mode & 0o077 != 0 })
}

/// As many secrets as a rotation can hold, and then some.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// The file that keeps the secret: `nightlatch.keys` beside `nightlatch.db`.
#[must_use]
pub fn beside(database: &Path) -> PathBuf {
    if database.extension().is_some_and(|extension| extension == "keys") {
        return database.with_extension("keys.keys");
    }
    database.with_extension("keys")
}

/// Makes the file whole or not at all; `false` if another process was first.
fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<bool> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let draft = directory.join(format!(".nightlatch-keys-{:016x}", entropy.bits()));
    let linked = write_draft(&draft, entropy).and_then(|()| match fs::hard_link(&draft, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    });
    let removed = fs::remove_file(&draft);
    let is_new = linked?;
    removed?;
    // The name must survive a power cut as well as the content.
    fs::File::open(directory)?.sync_all()?;
    Ok(is_new)
}

fn write_draft(draft: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(secrets::fresh(entropy).expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use nightlatch_core::SystemEntropy;

    use super::*;

    #[test]
    fn the_secret_is_made_once_and_readable_by_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("nightlatch.db");
        let first = keep_beside(&database, &SystemEntropy).unwrap();
        assert!(first.is_new && !first.is_exposed);
        assert_eq!(first.path, directory.path().join("nightlatch.keys"));
        let text = fs::read_to_string(&first.path).unwrap();
        let second = keep_beside(&database, &SystemEntropy).unwrap();
        assert!(!second.is_new);
        assert_eq!(fs::read_to_string(&first.path).unwrap(), text);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no draft is left");
        fs::set_permissions(&first.path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(keep_beside(&database, &SystemEntropy).unwrap().is_exposed);
    }

    #[test]
    fn of_many_that_start_at_once_one_makes_it_and_all_read_it() {
        const STARTS: usize = 8;
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("x.db");
        let barrier = Barrier::new(STARTS);
        let makers: usize = std::thread::scope(|scope| {
            let start = || {
                barrier.wait();
                keep_beside(&database, &SystemEntropy).unwrap().is_new
            };
            let starts: Vec<_> = (0..STARTS).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| usize::from(start.join().unwrap())).sum()
        });
        assert_eq!(makers, 1);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_named_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.keys");
        fs::write(&path, "half").unwrap();
        let error = keep_beside(&directory.path().join("x.db"), &SystemEntropy).unwrap_err();
        assert!(matches!(error, KeyFileError::Damaged { .. }));
        assert_eq!(fs::read_to_string(&path).unwrap(), "half");
    }

    #[test]
    fn a_database_called_keys_is_not_mistaken_for_its_secret() {
        assert_eq!(beside(Path::new("a/my.keys")), Path::new("a/my.keys.keys"));
        assert_eq!(beside(Path::new("nightlatch")), Path::new("nightlatch.keys"));
    }
}
