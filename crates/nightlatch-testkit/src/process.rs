//! A server process that a test started: watched by what it logs, ended by its pid.
//!
//! Tests must never signal a process that is not theirs, wait blindly, or leave a server behind
//! when they are killed: signals go through pid file descriptors, waiting is for a log line or for
//! the end of the process, and the kernel tells the server when its test dies.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};

/// The most log lines that are kept for a failing test.
const LOG_LINES_MAX: usize = 500;

/// How long a process may take to die of SIGKILL: it is the kernel's work alone.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How long the last lines of an ended process may take through the pipe.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// What makes `setpriv` take away all rights.
pub(crate) const AS_NOBODY: [&str; 5] =
    ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"];

/// A running server and what it said.
pub struct ServerProcess {
    pid: Pid,
    handle: OwnedFd,
    log: Arc<Log>,
    keeper: Option<JoinHandle<()>>,
}

struct Log {
    state: Mutex<LogState>,
    grown: Condvar,
    lines_max: usize,
}

#[derive(Default)]
struct LogState {
    lines: VecDeque<String>,
    /// How many lines before the first of `lines` were let go.
    forgotten: usize,
    /// Whether nobody is left who could write.
    drained: bool,
    ended: bool,
    exit: Option<ExitStatus>,
}

/// Whether this test runs as root; most servers refuse that and are started as `nobody`.
#[must_use]
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// A command that runs `program` unprivileged, whoever runs the test.
#[must_use]
pub fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(AS_NOBODY);
    }
    command.arg("--").arg(program);
    command
}

/// Gives a file or folder to the user that [`unprivileged`] runs as.
pub fn give_to_server(path: &Path) {
    if is_root() {
        run(Command::new("chown").args(["-R", "nobody:nogroup"]).arg(path));
    }
}

/// Runs a command to its end and returns what it printed; panics with its output if it fails.
pub fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A port of 127.0.0.1 that nobody listens on, below those that the kernel gives to outgoing
/// connections: a server can be stopped and started on it without finding it taken.
#[must_use]
pub fn free_port() -> u16 {
    nightlatch_drill::port::free().expect("a port of 127.0.0.1 is free")
}

impl ServerProcess {
    /// Starts a program made by [`unprivileged`]; what it prints is its log.
    #[must_use]
    pub fn spawn(command: Command) -> Self {
        Self::spawn_logging(command, LOG_LINES_MAX)
    }

    /// As [`Self::spawn`], with room for `lines_max` lines of its log.
    #[must_use]
    pub fn spawn_logging(command: Command, lines_max: usize) -> Self {
        let state = Mutex::default();
        let log = Arc::new(Log { state, grown: Condvar::new(), lines_max });
        let (started, start) = sync_channel(1);
        let kept = Arc::clone(&log);
        // The kernel sends the parent-death signal when the *thread* that forked ends, so that
        // thread lives as long as the server.
        let keeper = std::thread::spawn(move || {
            let (mut child, output) = spawn_tied_to_this_thread(&command);
            let pid = Pid::from_child(&child);
            let handle = pidfd_open(pid, PidfdFlags::empty()).expect("our child is not reaped yet");
            started.send((pid, handle)).expect("the starter waits for this");
            let reader = std::thread::spawn({
                let kept = Arc::clone(&kept);
                move || kept.read(output)
            });
            let exit = child.wait().ok();
            kept.end(exit);
            // Not joined: what the server started and left behind may hold the pipe open.
            drop(reader);
        });
        let (pid, handle) = start.recv().expect("the keeper has said why it panicked");
        Self { pid, handle, log, keeper: Some(keeper) }
    }

    /// Waits until a log line contains `needle`.
    ///
    /// # Errors
    /// The log, when the process ended or `limit` passed before.
    pub fn wait_for_line(&self, needle: &str, limit: Duration) -> Result<(), String> {
        self.wait_for_log(limit, |line| line.contains(needle).then_some(()))
    }

    /// Waits until `pick` takes something out of a log line.
    ///
    /// # Errors
    /// The log, when the process ended or `limit` passed before.
    pub fn wait_for_log<T>(
        &self,
        limit: Duration,
        pick: impl Fn(&str) -> Option<T>,
    ) -> Result<T, String> {
        let mut picked = None;
        let mut looked_at = 0;
        let (state, _) = self
            .log
            .grown
            .wait_timeout_while(self.log.lock(), limit, |state| {
                let new = looked_at.max(state.forgotten) - state.forgotten;
                picked = state.lines.iter().skip(new).find_map(|line| pick(line));
                looked_at = state.forgotten + state.lines.len();
                picked.is_none() && !state.ended
            })
            .unwrap_or_else(PoisonError::into_inner);
        picked.ok_or_else(|| state.text())
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().text()
    }

    /// How many of the first lines of its log are no longer kept.
    #[must_use]
    pub fn log_lines_forgotten(&self) -> usize {
        self.log.lock().forgotten
    }

    /// Waits for its end and returns how it ended; `None` when `limit` passed before.
    #[must_use]
    pub fn exit_within(&self, limit: Duration) -> Option<ExitStatus> {
        let (state, _) = self
            .log
            .grown
            .wait_timeout_while(self.log.lock(), limit, |state| state.exit.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        state.exit
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Signals the process itself; nothing happens if it has ended.
    pub fn signal(&self, signal: Signal) {
        send(&self.handle, signal);
    }

    /// Waits for its end; `false` when `limit` passed before.
    #[must_use]
    pub fn has_ended_within(&self, limit: Duration) -> bool {
        has_ended_within(&self.handle, limit)
    }

    /// Stops it and its children where they are (SIGSTOP).
    pub fn pause(&self) {
        // Itself first: it cannot start children any more while they are stopped.
        self.signal(Signal::STOP);
        self.signal_children(Signal::STOP);
    }

    /// Lets it and its children go on (SIGCONT).
    pub fn resume(&self) {
        self.signal_children(Signal::CONT);
        self.signal(Signal::CONT);
    }

    /// Kills it and its children at once (SIGKILL) and waits until none of them is left.
    pub fn kill_9(&self) {
        self.signal(Signal::STOP);
        let children = self.children();
        for child in &children {
            send(child, Signal::KILL);
        }
        self.signal(Signal::KILL);
        for handle in children.iter().chain([&self.handle]) {
            assert!(has_ended_within(handle, KILL_LIMIT), "SIGKILL did not end a process");
        }
    }

    /// Asks it to end with `signal`, kills it when `limit` has passed, and waits for its end.
    pub fn end(mut self, signal: Signal, limit: Duration) {
        self.finish(signal, limit);
    }

    /// Ends it at once, if it has not ended, and returns the last lines of its log.
    #[must_use]
    pub fn into_log(mut self) -> String {
        self.finish(Signal::KILL, KILL_LIMIT);
        self.log()
    }

    fn finish(&mut self, signal: Signal, limit: Duration) {
        let Some(keeper) = self.keeper.take() else { return };
        self.resume();
        self.signal(signal);
        if !self.has_ended_within(limit) {
            self.kill_9();
        }
        drop(keeper.join());
    }

    fn signal_children(&self, signal: Signal) {
        for child in self.children() {
            send(&child, signal);
        }
    }

    /// Handles of its children, each still its child after the handle was opened: a pid cannot
    /// have been given to somebody else.
    fn children(&self) -> Vec<OwnedFd> {
        let mut children = Vec::new();
        for entry in fs::read_dir("/proc").expect("Linux has /proc").flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            if parent_of(pid) != Some(self.pid()) {
                continue;
            }
            let Some(raw) = Pid::from_raw(pid) else { continue };
            let Ok(handle) = pidfd_open(raw, PidfdFlags::empty()) else { continue };
            if parent_of(pid) == Some(self.pid()) {
                children.push(handle);
            }
        }
        children
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.finish(Signal::QUIT, Duration::from_secs(5));
    }
}

impl LogState {
    fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        let mut state = self.lock();
        if state.lines.len() == self.lines_max {
            state.lines.pop_front();
            state.forgotten += 1;
        }
        state.lines.push_back(line);
        self.grown.notify_all();
    }

    fn read(&self, output: PipeReader) {
        // Not `lines`: that ends at the first byte that is no UTF-8.
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            self.push(String::from_utf8_lossy(&line).into_owned());
        }
        self.lock().drained = true;
        self.grown.notify_all();
    }

    /// Notes the end, after the last lines have come through the pipe.
    fn end(&self, exit: Option<ExitStatus>) {
        let (mut state, _) = self
            .grown
            .wait_timeout_while(self.lock(), DRAIN_LIMIT, |state| !state.drained)
            .unwrap_or_else(PoisonError::into_inner);
        state.ended = true;
        state.exit = exit;
        drop(state);
        self.grown.notify_all();
    }
}

fn spawn_tied_to_this_thread(command: &Command) -> (Child, PipeReader) {
    let mut tied = Command::new("setpriv");
    // The option stands before `--`, which `unprivileged` has written into the arguments.
    tied.args(["--pdeathsig", "QUIT"]).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        tied.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => tied.env(name, value),
            None => tied.env_remove(name),
        };
    }
    // One pipe for both, so that the lines stand in the order in which they were written.
    let (output, input) = pipe().expect("this process has room for a pipe");
    let also = input.try_clone().expect("this process has room for a pipe");
    tied.stdin(Stdio::null()).stdout(input).stderr(also);
    let child = tied
        .spawn()
        .unwrap_or_else(|error| panic!("setpriv (package util-linux) does not start: {error}"));
    // `tied` holds the writing ends of the pipe, and goes here: else the log would never end.
    (child, output)
}

/// Signals a process, if it has not ended meanwhile.
fn send(handle: &OwnedFd, signal: Signal) {
    match pidfd_send_signal(handle, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("signalling a server of ours: {error}"),
    }
}

fn has_ended_within(handle: &OwnedFd, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).expect("limits are seconds");
    let mut polled = [PollFd::new(handle, PollFlags::IN)];
    // Bounded: only a signal to this test program repeats it.
    loop {
        match poll(&mut polled, Some(&limit)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("waiting for a process: {error}"),
        }
    }
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state ppid ..": the name may hold anything, so read from its end.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
