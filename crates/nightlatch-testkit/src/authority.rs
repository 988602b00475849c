//! Private authorities and certificates of theirs, made by openssl.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::run;

/// An authority in `ca.pem`, and a stranger to it in `stranger.pem`.
pub struct Authority {
    folder: TempDir,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// New ones.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
        let this = Self { folder };
        for name in ["ca", "stranger"] {
            this.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                 -subj /CN={name} -keyout {name}.key -out {name}.pem"
            ));
        }
        this
    }

    /// A certificate for `host`, with its key, both as PEM. It expires in so many days, or has.
    #[must_use]
    pub fn issue(&self, host: &str, days: i32) -> (String, String) {
        fs::write(self.path("san"), format!("subjectAltName=DNS:{host}")).expect("our folder");
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={host} \
             -keyout issued.key -out issued.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in issued.csr -CA ca.pem -CAkey ca.key -days {days} -extfile san \
             -out issued.pem"
        ));
        let read = |name| fs::read_to_string(self.path(name)).expect("openssl has written it");
        (read("issued.pem"), read("issued.key"))
    }

    /// Writes a file beside the authorities and returns its path.
    #[must_use]
    pub fn put(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).expect("our folder takes a file");
        path
    }

    /// Where a file of it is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let arguments = arguments.split_whitespace();
        run(Command::new("openssl").args(arguments).current_dir(self.folder.path()));
    }
}
