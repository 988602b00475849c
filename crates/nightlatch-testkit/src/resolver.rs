//! Names that lead where a test says, for one process.
//!
//! The machine's resolver belongs to everybody, and a DNS server of a test's own would need a port that
//! only root may have. A small library answers in place of the C library, so everything above it is the
//! real thing, and a name can be moved, or its server fail, while the process runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const SOURCE: &str = include_str!("resolver.c");

/// What is said of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// It leads to this address.
    LeadsTo(&'a str),
    /// Its server cannot say.
    ServerFailure,
    /// Nobody says anything, until the C library gives up after 10 s.
    Silence,
}

/// The names of one process. It must live longer than the process.
pub struct FakeResolver {
    folder: TempDir,
}

impl FakeResolver {
    /// Which knows nothing yet: the machine's is asked for every name.
    ///
    /// # Panics
    /// Without a C compiler.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("nightlatch-names-")
            .tempdir()
            .expect("the temporary folder takes a folder");
        let everybody = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), everybody).expect("it is our folder");
        let resolver = Self { folder };
        resolver.compile();
        resolver
    }

    /// From now on this is said of a name, and nothing of any other.
    pub fn say(&self, name: &str, answer: Name<'_>) {
        let answer = match answer {
            Name::LeadsTo(address) => address,
            Name::ServerFailure => "SERVFAIL",
            Name::Silence => "SILENT",
        };
        // Renamed, so that nobody reads half of it.
        let fresh = self.path("fresh");
        fs::write(&fresh, format!("{name} {answer}\n")).expect("our folder takes a file");
        fs::rename(&fresh, self.path("names")).expect("our folder takes a name");
    }

    /// Names and values of variables.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.path("names.so")), ("NIGHTLATCH_TESTKIT_NAMES", self.path("names"))]
    }

    fn compile(&self) {
        let source = self.path("names.c");
        fs::write(&source, SOURCE).expect("our folder takes a file");
        let compiled = Command::new("cc")
            .args(["-Wall", "-Werror", "-shared", "-fPIC", "-o"])
            .args([self.path("names.so"), source])
            .stdin(Stdio::null())
            .status()
            .expect("no C compiler is installed: Debian package `build-essential`");
        assert!(compiled.success(), "the source is right");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
