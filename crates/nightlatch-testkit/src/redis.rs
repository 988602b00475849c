//! A real Redis: its own folder, its own port, gone with the test.
//!
//! What a login service promises while Redis fails can only be shown with one that really stops, hangs
//! and forgets. This one does each on request.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::installed::assert_installed;
use crate::process::{ServerProcess, free_port, give_to_server, run, unprivileged};

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long an orderly stop may take before it is cut short.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How often another port is tried when somebody was faster.
const PORT_TRIES: u32 = 5;

/// What it says when it takes clients.
const READY: &str = "Ready to accept connections";

/// A Redis server of its own. It keeps nothing on the disk unless it is told to.
pub struct RedisServer {
    process: Mutex<Option<ServerProcess>>,
    port: u16,
    /// Whether its port speaks TLS alone.
    is_tls: bool,
    settings: Vec<(String, String)>,
    /// Last: the server has ended when its files go.
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server as it comes, without a password.
    #[must_use]
    pub fn launch() -> Self {
        Self::launch_with(&[])
    }

    /// Starts a server with settings of `redis.conf`, such as `("requirepass", "secret")`.
    #[must_use]
    pub fn launch_with(settings: &[(&str, &str)]) -> Self {
        assert_installed(Command::new("redis-server").arg("--version"), "redis-server");
        Self::launch_from(|port| Self::in_new_folder(port, settings))
    }

    /// Starts a server that speaks TLS alone, with a certificate for `host`. Whether it asks for
    /// its clients' certificates, `tls-auth-clients` says.
    #[must_use]
    pub fn launch_tls(
        authority: &Authority,
        (host, days): (&str, i32),
        settings: &[(&str, &str)],
    ) -> Self {
        let (certificate, key) = authority.issue(host, days);
        let ca = fs::read_to_string(authority.path("ca.pem")).expect("it was made");
        Self::launch_from(|port| {
            let mut server = Self::in_new_folder(port, settings);
            server.is_tls = true;
            for (name, file, contents) in [
                ("tls-cert-file", "server.pem", &certificate),
                ("tls-key-file", "server.key", &key),
                ("tls-ca-cert-file", "ca.pem", &ca),
            ] {
                fs::write(server.folder.path().join(file), contents).expect("our folder");
                server.settings.push((name.to_owned(), file.to_owned()));
            }
            give_to_server(server.folder.path());
            server
        })
    }

    fn launch_from(make: impl Fn(u16) -> Self) -> Self {
        let mut refusal = String::new();
        for _ in 0..PORT_TRIES {
            let server = make(free_port());
            match server.try_start() {
                Ok(()) => return server,
                Err(log) => refusal = log,
            }
        }
        panic!("Redis does not start:\n{refusal}");
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, without a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its folder, which it may write to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command as the default user without a password, and returns what `redis-cli` prints.
    #[must_use = "or bind it to _"]
    pub fn ask(&self, words: &[&str]) -> String {
        run(&mut self.client(words)).trim_end().to_owned()
    }

    /// Whether it says that it is one: `master` or `slave`. One that becomes the other closes the
    /// connections that it has, and has said nothing then.
    #[must_use]
    pub fn is_role(&self, role: &str) -> bool {
        let said = self.client(&["ROLE"]).output().expect("redis-cli is installed");
        String::from_utf8_lossy(&said.stdout).starts_with(role)
    }

    fn client(&self, words: &[&str]) -> Command {
        let mut client = Command::new("redis-cli");
        client.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if self.is_tls {
            client.args(["--tls", "--insecure"]);
        }
        client.args(words);
        client
    }

    /// Runs a command that answers OK or a number.
    pub fn tell(&self, words: &[&str]) {
        let told = self.ask(words);
        let is_fine = told == "OK" || told.parse::<i64>().is_ok();
        assert!(is_fine, "{words:?} was answered {told}");
    }

    /// Starts it again on the same port.
    pub fn start(&self) {
        if let Err(log) = self.try_start() {
            panic!("Redis does not start again:\n{log}");
        }
    }

    /// Starts it again on the same port, with these settings instead.
    pub fn start_with(&mut self, settings: &[(&str, &str)]) {
        self.settings = owned(settings);
        self.start();
    }

    /// Stops it in order.
    pub fn stop(&self) {
        if let Some(process) = self.lock().take() {
            process.end(Signal::TERM, STOP_LIMIT);
        }
    }

    /// Kills it at once.
    pub fn kill_9(&self) {
        if let Some(process) = self.lock().take() {
            process.kill_9();
        }
    }

    /// Stops it where it is: connections stay open, nothing answers.
    pub fn pause(&self) {
        self.with_process(ServerProcess::pause);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.with_process(ServerProcess::resume);
    }

    fn in_new_folder(port: u16, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("nightlatch-redis-")
            .tempdir()
            .expect("the temporary folder takes a folder");
        give_to_server(folder.path());
        let settings = owned(settings);
        Self { process: Mutex::new(None), port, is_tls: false, settings, folder }
    }

    fn try_start(&self) -> Result<(), String> {
        let mut redis = unprivileged(Path::new("redis-server"));
        let port = self.port.to_string();
        let (plain, tls) = if self.is_tls { ("0", port.as_str()) } else { (port.as_str(), "0") };
        redis.args(["--bind", "127.0.0.1", "--port", plain, "--tls-port", tls]);
        redis.current_dir(self.folder.path());
        redis.args(["--save", "", "--appendonly", "no", "--dir"]).arg(self.folder.path());
        // So that faults can be brought about which take a `DEBUG`.
        redis.args(["--enable-debug-command", "yes"]);
        for (name, value) in &self.settings {
            redis.arg(format!("--{name}")).args(value.split(' '));
        }
        let process = ServerProcess::spawn(redis);
        process.wait_for_line(READY, START_LIMIT)?;
        let earlier = self.lock().replace(process);
        assert!(earlier.is_none(), "the server was started twice");
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<ServerProcess>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_process(&self, act: impl FnOnce(&ServerProcess)) {
        act(self.lock().as_ref().expect("the server was started and not stopped"));
    }
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
