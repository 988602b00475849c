//! A real Sentinel that watches a real Redis.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{ServerProcess, free_port, give_to_server, run, unprivileged};
use crate::redis::RedisServer;

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(20);

/// What it says once it watches.
const READY: &str = "+monitor master";

/// How often another port is tried when somebody was faster.
const PORT_TRIES: u32 = 5;

/// The name by which it knows the primary.
pub const PRIMARY: &str = "main";

/// A Sentinel of its own, which decides alone. It thinks a server dead after half a second.
pub struct Sentinel {
    process: Option<ServerProcess>,
    port: u16,
    /// Last: it has ended when its files go.
    _folder: TempDir,
}

impl Sentinel {
    /// Starts one that watches a primary. With a password, who asks must have it.
    #[must_use]
    pub fn launch(primary: &RedisServer, password: Option<&str>) -> Self {
        let mut refusal = String::new();
        for _ in 0..PORT_TRIES {
            match Self::try_launch(primary, password) {
                Ok(sentinel) => return sentinel,
                Err(log) => refusal = log,
            }
        }
        panic!("a Sentinel does not start:\n{refusal}");
    }

    fn try_launch(primary: &RedisServer, password: Option<&str>) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("nightlatch-sentinel-")
            .tempdir()
            .expect("the temporary folder takes a folder");
        let port = free_port();
        let watched = primary.port();
        let mut settings = format!(
            "port {port}\nbind 127.0.0.1\n\
             sentinel monitor {PRIMARY} 127.0.0.1 {watched} 1\n\
             sentinel down-after-milliseconds {PRIMARY} 500\n\
             sentinel failover-timeout {PRIMARY} 2000\n"
        );
        if let Some(password) = password {
            settings.extend(["requirepass ", password, "\n"]);
        }
        let file = folder.path().join("sentinel.conf");
        fs::write(&file, settings).expect("our folder");
        give_to_server(folder.path());
        let mut sentinel = unprivileged(Path::new("redis-server"));
        sentinel.current_dir(folder.path()).arg(&file).arg("--sentinel");
        let process = ServerProcess::spawn(sentinel);
        process.wait_for_line(READY, START_LIMIT)?;
        Ok(Self { process: Some(process), port, _folder: folder })
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a command without a password, and returns what `redis-cli` prints.
    #[must_use = "or bind it to _"]
    pub fn ask(&self, words: &[&str]) -> String {
        let mut client = Command::new("redis-cli");
        client.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(words);
        run(&mut client).trim_end().to_owned()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill_9();
        }
    }
}
