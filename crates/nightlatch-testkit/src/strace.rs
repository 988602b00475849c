//! strace at a running server: shows its system calls, or makes some of them fail.
//!
//! A failing disk cannot be bought for a test. strace gives the error that such a disk gives, at
//! the border between the process and the kernel, so that everything above is the real thing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::ServerProcess;

/// How long strace may take to attach to all threads, and to let go of them.
const ATTACH_LIMIT: Duration = Duration::from_secs(20);

/// strace, attached. Dropped, it lets the server go.
pub struct Strace {
    process: Option<ServerProcess>,
    output: PathBuf,
    _folder: TempDir,
}

impl Strace {
    /// Has the system calls `calls` (`pwrite64,fdatasync`) of the process end with `error` (`EIO`)
    /// where they touch one of `files`.
    #[must_use]
    pub fn fail(pid: i32, calls: &str, error: &str, files: &[&Path]) -> Self {
        let mut arguments = vec![format!("--inject={calls}:error={error}")];
        for file in files {
            arguments.push(format!("--trace-path={}", file.display()));
        }
        Self::attach(pid, calls, &arguments)
    }

    /// Records the system calls `calls` of the process.
    #[must_use]
    pub fn record(pid: i32, calls: &str) -> Self {
        Self::attach(pid, calls, &["--decode-fds=path".to_owned(), "--string-limit=64".to_owned()])
    }

    fn attach(pid: i32, calls: &str, arguments: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
        let output = folder.path().join("trace");
        let mut command = Command::new("setpriv");
        command.args(["--", "strace", "--follow-forks", "--absolute-timestamps=unix,us"]);
        command.arg(format!("--trace={calls}")).args(arguments);
        command.arg("--output").arg(&output).arg(format!("--attach={pid}"));
        let process = ServerProcess::spawn(command);
        if let Err(log) = process.wait_for_line("attached", ATTACH_LIMIT) {
            panic!("strace (package strace) does not attach:\n{log}");
        }
        Self { process: Some(process), output, _folder: folder }
    }

    /// Lets the server go; the lines that were recorded.
    #[must_use]
    pub fn end(mut self) -> Vec<String> {
        self.let_go();
        let trace = fs::read(&self.output).expect("strace has written its file");
        String::from_utf8_lossy(&trace).lines().map(str::to_owned).collect()
    }

    fn let_go(&mut self) {
        // SIGINT: it detaches and lets the traced go on.
        if let Some(process) = self.process.take() {
            process.end(Signal::INT, ATTACH_LIMIT);
        }
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        self.let_go();
    }
}
