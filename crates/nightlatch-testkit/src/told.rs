//! What a process is told while it runs, by files that a library in it reads again and again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

/// A folder that everybody may read, whoever the process runs as; gone when it is dropped.
pub(crate) struct ToldFolder(TempDir);

impl ToldFolder {
    pub(crate) fn new(prefix: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir()
            .expect("the temporary folder takes a folder");
        let everybody = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), everybody).expect("it is our folder");
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Has a file say one line from now on.
    pub(crate) fn say(&self, name: &str, line: &str) {
        // Renamed, so that nobody reads half of it.
        let fresh = self.path("fresh");
        fs::write(&fresh, format!("{line}\n")).expect("our folder takes a file");
        fs::rename(&fresh, self.path(name)).expect("our folder takes a name");
    }
}
