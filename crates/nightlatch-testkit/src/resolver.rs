//! Names that lead where a test says, for one process.
//!
//! The machine's resolver belongs to everybody, and a DNS server of a test's own would need a port that
//! only root may have. A small library answers in place of the C library, so everything above it is the
//! real thing, and a name can be moved, or its server fail, while the process runs.

use std::fs;
use std::process::{Command, Stdio};

use crate::told::ToldFolder;

const SOURCE: &str = include_str!("resolver.c");

/// The file that says where names lead, and the library that reads it.
const NAMES: &str = "names";
const LIBRARY: &str = "names.so";

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
    folder: ToldFolder,
}

impl FakeResolver {
    /// Which knows nothing yet: the machine's is asked for every name.
    ///
    /// # Panics
    /// Without a C compiler.
    #[must_use]
    pub fn start() -> Self {
        let resolver = Self { folder: ToldFolder::new("nightlatch-names-") };
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
        self.folder.say(NAMES, &format!("{name} {answer}"));
    }

    /// Words for `env`.
    pub(crate) fn environment(&self) -> Vec<String> {
        let (library, names) = (self.folder.path(LIBRARY), self.folder.path(NAMES));
        vec![
            format!("LD_PRELOAD={}", library.display()),
            format!("NIGHTLATCH_TESTKIT_NAMES={}", names.display()),
        ]
    }

    fn compile(&self) {
        let source = self.folder.path("names.c");
        fs::write(&source, SOURCE).expect("our folder takes a file");
        let compiled = Command::new("cc")
            .args(["-Wall", "-Werror", "-shared", "-fPIC", "-o"])
            .args([self.folder.path(LIBRARY), source])
            .stdin(Stdio::null())
            .status()
            .expect("no C compiler is installed: Debian package `build-essential`");
        assert!(compiled.success(), "the source is right");
    }
}
