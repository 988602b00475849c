//! The server that is measured: a release binary in production, on SQLite in a directory.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context;

use crate::child::Process;
use crate::cores::Cores;

/// How a server is run: as operators run it, but that nothing is throttled and a stop is short.
const SETTINGS: &[(&str, &str)] = &[
    ("ENVIRONMENT", "production"),
    ("PUBLIC_URL", "https://login.example.org"),
    // Port 0: the system chooses, and the log says which.
    ("NIGHTLATCH_LISTEN", "127.0.0.1:0"),
    ("NIGHTLATCH_METRICS_LISTEN", "127.0.0.1:0"),
    ("REGISTRATION", "open"),
    ("DISABLE_THROTTLING", "true"),
    ("NIGHTLATCH_DRAIN", "0"),
    ("DATABASE_URL", "sqlite://nightlatch.db"),
    ("SESSION_SECRET_KEY", SESSION_SECRET_KEY),
];

/// What the tokens of the sessions are signed with.
pub(crate) const SESSION_SECRET_KEY: &str = "mE8vT2qLx5Rz9Wk3Yc7Hb1Nf6Jd4Gs0PuAoVi";

/// The file of the database, in the server's directory.
pub(crate) const DATABASE_FILE: &str = "nightlatch.db";

/// What the session cookie is called in production.
pub(crate) const SESSION_COOKIE: &str = "__Host-nightlatch";

/// How long a server may take to say where it listens.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How much of the log is shown of a server that does not start.
const LOG_LINES_MAX: usize = 20;

/// The program and where it is measured.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) cores: Cores,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Program {
    /// Starts a server on the database in `directory`, and waits until it listens.
    pub(crate) fn start(&self, directory: &Path) -> anyhow::Result<Server> {
        self.start_with(directory, |_| ())
    }

    /// The same with more than a server usually gets, such as a standard input.
    pub(crate) fn start_with(
        &self,
        directory: &Path,
        prepare: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Server> {
        let mut process = Process::spawn(self.cores, &self.path, |command| {
            command.current_dir(directory).envs(SETTINGS.iter().copied()).stderr(Stdio::piped());
            prepare(command);
        })?;
        let log = process.take_stderr();
        let (say, said) = sync_channel(1);
        std::thread::spawn(move || follow(log, &say));
        let address = said.recv_timeout(START_LIMIT).context("the server does not listen")?;
        let address = address.map_err(|log| anyhow::anyhow!("the server ended:\n{log}"))?;
        Ok(Server { process, address })
    }
}

/// Reads the log to its end, so that the server never waits for a reader; tells the address, or
/// what the server said before it ended.
fn follow(log: ChildStderr, say: &SyncSender<Result<SocketAddr, String>>) {
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    let mut first = Vec::new();
    for line in lines.by_ref() {
        if let Some(address) = address(&line) {
            // Nobody listens any more if it took too long.
            let _ = say.send(Ok(address));
            break;
        }
        if first.len() < LOG_LINES_MAX {
            first.push(line);
        }
    }
    lines.for_each(drop);
    // Ignored by a receiver that has the address.
    let _ = say.try_send(Err(first.join("\n")));
}

/// The address in the line that says where the server listens.
fn address(line: &str) -> Option<SocketAddr> {
    let rest = line.contains("server.listening").then_some(line)?.split_once("http://")?.1;
    let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')?;
    rest[..length].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_found_in_the_log() {
        let line = r#"{"event":"server.listening","address":"http://127.0.0.1:4711","x":1}"#;
        assert_eq!(address(line), Some(([127, 0, 0, 1], 4711).into()));
        assert_eq!(
            address(r#"{"event":"server.configured","address":"http://127.0.0.1:1"}"#),
            None
        );
        assert_eq!(address("server.listening"), None);
    }
}
