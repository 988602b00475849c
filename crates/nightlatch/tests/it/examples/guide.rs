//! What a Markdown file tells people to type, typed.
//!
//! Only addresses and passwords are changed; each must be there, or a test would not test what is written.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nightlatch_testkit::process::{ServerProcess, run};
use tempfile::TempDir;

/// How long a program of another language may take to listen.
const START_LIMIT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where Debian puts Python, Node and curl.
const PATH: &str = "/usr/bin:/bin";

/// A Markdown file of the repository.
pub(super) struct Guide(String);

impl Guide {
    pub(super) fn read(path: &str) -> Self {
        let path = repository().join(path);
        let text = fs::read_to_string(&path);
        Self(text.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The code blocks in a language, in order.
    pub(super) fn blocks(&self, language: &str) -> Vec<String> {
        let fence = format!("```{language}\n");
        let parts = self.0.split(&fence).skip(1);
        parts.map(|part| part.split("```").next().expect("one at least").to_owned()).collect()
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder of an example's own, as people who cloned the repository have.
pub(super) fn copied(example: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let from = repository().join("examples").join(example).join(".");
    let _ = run(Command::new("cp").arg("-r").arg(from).arg(folder.path()));
    folder
}

/// With other words.
pub(super) fn with(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "`{from}` is not in {text}");
        text.replace(from, to)
    })
}

/// What a shell in that folder makes of commands; panics if one fails.
pub(super) fn type_in(folder: &Path, script: &str) -> String {
    let mut command = Command::new("bash");
    run(shell(&mut command, folder, script))
}

/// Types commands of which the last is a server, and waits until it listens.
pub(super) fn start(
    folder: &Path,
    script: &str,
    settings: &[(&str, &str)],
    port: u16,
) -> ServerProcess {
    let (before, server) = script.trim_end().rsplit_once('\n').unwrap_or(("", script));
    let mut command = Command::new("setpriv");
    command.args(["--", "bash"]).envs(settings.iter().copied());
    shell(&mut command, folder, &format!("{before}\nexec {server}"));
    let process = ServerProcess::spawn(command);
    let looks = START_LIMIT.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        assert!(!process.has_ended_within(LOOK_EVERY), "it has ended: {}", process.log());
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return process;
        }
    }
    panic!("it does not listen: {}", process.log());
}

fn shell<'a>(bash: &'a mut Command, folder: &Path, script: &str) -> &'a mut Command {
    bash.args(["-e", "-c", script]).current_dir(folder).env("PATH", PATH);
    bash.env("NODE_PATH", "/usr/share/nodejs").env("PYTHONDONTWRITEBYTECODE", "1")
}
