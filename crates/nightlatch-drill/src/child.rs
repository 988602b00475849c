//! A process that the drill started: it says its last words in a file, and goes with the drill.
//!
//! Signalled by a pid that nobody else can have: it is not reaped before it is dropped.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::until::until;

/// The most that is shown of what a process said.
const LAST_BYTES: usize = 2000;

/// A process. Dropped, it is killed.
pub(crate) struct Child {
    process: Process,
    /// What it says.
    log: PathBuf,
}

impl Child {
    /// Starts a program that says all it has to say in the file `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> io::Result<Self> {
        let out = File::options().append(true).create(true).open(log)?;
        let err = out.try_clone()?;
        // A group of its own: Ctrl-C is for the drill, which ends it by itself.
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        Ok(Self { process: command.spawn()?, log: log.to_owned() })
    }

    /// Signals it; nothing happens if it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.process), signal);
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Asks it to end, waits so long, and ends it.
    pub(crate) async fn stop(mut self, limit: Duration) {
        self.signal(Signal::TERM);
        let _ = until(limit, async || self.has_ended()).await;
    }

    /// The last that it said.
    pub(crate) fn last_words(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let tail = &said[said.len().saturating_sub(LAST_BYTES)..];
        String::from_utf8_lossy(tail).trim().to_owned()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        // Of SIGKILL it dies, also where it is stopped: this is the kernel's work alone.
        let _ = self.process.wait();
    }
}
