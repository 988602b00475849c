//! A Redis for what is measured with one. It runs beside the load generator: its own work is none of the
//! server's.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::child::Process;

/// How long it may take to start, and a server to use it.
pub(crate) const USED_WITHIN: Duration = Duration::from_secs(10);

/// How it fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fails {
    Silent,
    /// Last: it does not come back.
    Killed,
}

/// A Redis server of its own, which keeps nothing on the disk.
pub(crate) struct Redis {
    process: Process,
    port: u16,
    _home: TempDir,
}

impl Redis {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let home = TempDir::new().context("making a temporary directory")?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let process = Process::beside(Path::new("redis-server"), |command| {
            command.current_dir(home.path()).args([
                "--bind",
                "127.0.0.1",
                "--port",
                &port.to_string(),
            ]);
            command.args(["--save", "", "--appendonly", "no"]);
        })
        .context("redis-server is not there: Debian package `redis-server`")?;
        let redis = Self { process, port, _home: home };
        let since = Instant::now();
        while redis.ask(&["PING"]).is_ok_and(|answer| answer != "PONG") {
            anyhow::ensure!(since.elapsed() < USED_WITHIN, "Redis does not start");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(redis)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    fn ask(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &self.port.to_string()]).args(words).stderr(Stdio::null());
        let answer = client.output().context("starting redis-cli (Debian package redis-tools)")?;
        Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
    }

    pub(crate) fn used_memory(&self) -> anyhow::Result<u64> {
        let told = self.ask(&["INFO", "memory"])?;
        let used = told.lines().find_map(|line| line.strip_prefix("used_memory:"));
        used.and_then(|bytes| bytes.trim().parse().ok()).context("Redis does not tell its memory")
    }

    /// What a session takes: its value, and with all that Redis needs for it.
    pub(crate) fn bytes_each(&self, empty: u64) -> anyhow::Result<String> {
        let grown = self.used_memory()?.saturating_sub(empty);
        let count: u64 = self.ask(&["DBSIZE"])?.parse().context("Redis does not count")?;
        let names = self.ask(&["--scan", "--pattern", "nightlatch:s:*"])?;
        let name = names.lines().next().context("there is no session in Redis")?;
        let value = self.ask(&["STRLEN", name])?;
        let each = grown / count.max(1);
        Ok(format!("{value} bytes, {each} with its name and what Redis needs beside"))
    }

    pub(crate) fn fail(&self, how: Fails) -> anyhow::Result<()> {
        match how {
            Fails::Silent => self.process.signal(Signal::STOP),
            Fails::Killed => self.process.signal(Signal::KILL),
        }
    }

    pub(crate) fn mend(&self, how: Fails) -> anyhow::Result<()> {
        match how {
            Fails::Silent => self.process.signal(Signal::CONT),
            Fails::Killed => Ok(()),
        }
    }
}
