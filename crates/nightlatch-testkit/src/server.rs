//! The server under test: the real binary, in a folder and an environment of its own.
//!
//! What a login service promises when it is killed, stopped or badly used is a promise of the
//! process, not of a function, so the tests start the process.

mod launch;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::client::Client;
use crate::process::ServerProcess;
use crate::wait::wait_until;

pub use launch::{Launch, PRODUCTION_ORIGIN, PRODUCTION_SECRET};

/// How long the record may take to be ready behind a server that listens.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// How long an ended process may take to be gone.
const END_LIMIT: Duration = Duration::from_secs(30);

/// A running server. Dropped, it is killed.
pub struct NightlatchServer {
    process: Option<ServerProcess>,
    address: SocketAddr,
    launch: Launch,
    earlier_log: String,
    /// Last: the server has ended when its files go.
    folder: TempDir,
}

impl NightlatchServer {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, its origin in development.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client without cookies.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Waits until it says that it can serve.
    pub async fn wait_until_ready(&self) {
        let mut client = self.client();
        // `wait_until` takes a function that can be called again, so the client moves through it.
        wait_until("the server is ready", READY_LIMIT, async || {
            client.get("/health/ready").await.status == 200
        })
        .await;
    }

    /// Its process id; panics when it was ended.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.running().pid()
    }

    /// Whether it has ended by itself.
    #[must_use]
    pub fn has_died(&self) -> bool {
        self.running().has_ended_within(Duration::ZERO)
    }

    /// Stops it where it is (SIGSTOP).
    pub fn pause(&self) {
        self.running().signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.running().signal(Signal::CONT);
    }

    /// Waits until a log line contains `needle`.
    pub fn wait_for_log(&self, needle: &str, limit: Duration) {
        if let Err(log) = self.running().wait_for_line(needle, limit) {
            panic!("the server never said {needle:?}:\n{log}");
        }
    }

    /// Everything that it printed so far, in all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        let now = self.process.as_ref().map(whole_log).unwrap_or_default();
        format!("{}{now}", self.earlier_log)
    }

    /// Runs `nightlatch ARGUMENTS` beside it, in its folder and environment, and returns what it
    /// printed on stdout; panics with all of it if it fails.
    #[must_use = "or bind it to _"]
    pub fn command(&self, arguments: &[&str]) -> String {
        crate::process::run(&mut self.launch.command(self.folder.path(), arguments))
    }

    /// The same while the caller goes on.
    #[must_use]
    pub fn command_begun(&self, arguments: &[&str]) -> ServerProcess {
        self.launch.begin(self.folder.path(), arguments)
    }

    /// The same with `input` on stdin, whatever comes of it.
    #[must_use]
    pub fn command_given(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.launch.command(self.folder.path(), arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let mut stdin = child.stdin.take().expect("it is piped");
        // A command that needs no input may have ended before it was written.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it is our child")
    }

    /// Kills it at once.
    pub fn kill_9(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill_9();
            self.earlier_log.push_str(&process.into_log());
        }
    }

    /// Asks it to stop (SIGTERM), and does not wait.
    pub fn ask_to_stop(&self) {
        self.running().signal(Signal::TERM);
    }

    /// Waits for its end after [`Self::ask_to_stop`] and returns its exit code; `None` when a
    /// signal ended it.
    pub fn wait_for_exit(&mut self) -> Option<i32> {
        let exit = self.running().exit_within(END_LIMIT);
        let log = self.running().log();
        let exit = exit.unwrap_or_else(|| panic!("the server does not stop:\n{log}"));
        self.process = None;
        self.earlier_log.push_str(&log);
        exit.code()
    }

    /// Stops it (SIGTERM) and returns its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.ask_to_stop();
        self.wait_for_exit()
    }

    /// With another value of an environment variable from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.launch = self.launch.clone().set(name, value);
    }

    /// Starts it again on the same folder; the port is another one.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "the server still runs");
        let (process, address) = self.launch.run_in(self.folder.path());
        self.process = Some(process);
        self.address = address;
    }

    fn running(&self) -> &ServerProcess {
        self.process.as_ref().expect("the server was started and not ended")
    }
}

impl Drop for NightlatchServer {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        process.kill_9();
        if std::thread::panicking() {
            // The test's own output is where people look for the reason of its failure.
            print_log(&process.into_log());
        }
    }
}

fn whole_log(process: &ServerProcess) -> String {
    assert_eq!(process.log_lines_forgotten(), 0, "the log is longer than what is kept of it");
    process.log()
}

#[expect(clippy::print_stdout, reason = "shown by the test harness with the test that failed")]
fn print_log(log: &str) {
    const LINES_MAX: usize = 100;
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines.len().saturating_sub(LINES_MAX);
    println!("the last lines of the server's log:\n{}", lines[tail..].join("\n"));
}
