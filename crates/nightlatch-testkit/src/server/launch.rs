//! How a server is started: its environment, its files, its flags, and what stands around the program.
//!
//! Nothing of the machine's own environment is passed on, so that each test says all that its server knows.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::NightlatchServer;
use crate::clock::FakeClock;
use crate::process::{AS_NOBODY, ServerProcess, free_port, give_to_server, is_root};
use crate::resolver::FakeResolver;

/// How long a start may take, on a machine that is busy with other tests.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks whether a server whose log is not read accepts connections.
const ACCEPT_LOOK_EVERY: Duration = Duration::from_millis(20);

/// The most log lines that are kept: what is searched for secrets must be all there.
const LOG_LINES_MAX: usize = 200_000;

/// How a server is to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    binary: PathBuf,
    variables: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    flags: Vec<String>,
    wrapper: Vec<String>,
    is_unprivileged: bool,
    is_silent: bool,
}

impl Launch {
    /// The server of `binary` (`env!("CARGO_BIN_EXE_nightlatch")`) in development, on SQLite in
    /// its own folder, on a port that the system chooses.
    #[must_use]
    pub fn of(binary: &str) -> Self {
        let launch = Self {
            binary: PathBuf::from(binary),
            variables: BTreeMap::new(),
            files: BTreeMap::new(),
            flags: Vec::new(),
            wrapper: Vec::new(),
            is_unprivileged: false,
            is_silent: false,
        };
        launch.set("NIGHTLATCH_LISTEN", "127.0.0.1:0").set("LOG_FORMAT", "json")
    }

    /// With an environment variable. There are no others: the tests' own are not passed on.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a file of this name in its folder.
    #[must_use]
    pub fn with_file(mut self, name: &str, text: &str) -> Self {
        self.files.insert(name.to_owned(), text.to_owned());
        self
    }

    /// With flags of `serve`.
    #[must_use]
    pub fn with_flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// Started by another program, which must become the server: `prlimit`, `unshare`, a shell
    /// that ends with `exec "$@"`.
    #[must_use]
    pub fn through(mut self, program: &[&str]) -> Self {
        self.wrapper.extend(program.iter().map(|word| (*word).to_owned()));
        self
    }

    /// With another time than the machine's.
    #[must_use]
    pub fn under(self, clock: &FakeClock) -> Self {
        self.with_words(&clock.environment())
    }

    /// With other names than the machine's.
    #[must_use]
    pub fn resolving_by(self, resolver: &FakeResolver) -> Self {
        self.with_words(&resolver.environment())
    }

    fn with_words(self, words: &[String]) -> Self {
        words.iter().fold(self, |launch, word| {
            let (name, value) = word.split_once('=').expect("a word of `env` has a value");
            launch.set(name, value)
        })
    }

    /// As a user without rights, whoever runs the test: for root no file is read-only.
    #[must_use]
    pub fn unprivileged(mut self) -> Self {
        self.is_unprivileged = true;
        self
    }

    /// With a log that does not come here; so the port is chosen beforehand.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.is_silent = true;
        let address = format!("127.0.0.1:{}", free_port());
        self.set("NIGHTLATCH_LISTEN", &address)
    }

    /// As in production: `PUBLIC_URL` is `https://login.example`, TLS ends in front of it.
    #[must_use]
    pub fn in_production(self) -> Self {
        self.set("ENVIRONMENT", "production")
            .set("PUBLIC_URL", PRODUCTION_ORIGIN)
            .set("SESSION_SECRET_KEY", PRODUCTION_SECRET)
            .set("REGISTRATION", "open")
            .set("NIGHTLATCH_METRICS_LISTEN", "127.0.0.1:0")
    }

    /// Starts it and waits until it listens.
    #[must_use]
    pub fn start(self) -> NightlatchServer {
        let folder = tempfile::Builder::new()
            .prefix("nightlatch-server-")
            .tempdir()
            .expect("the temporary folder takes a folder");
        for (name, text) in &self.files {
            fs::write(folder.path().join(name), text).expect("our folder takes a file");
        }
        let (process, address) = self.run_in(folder.path());
        let process = Some(process);
        NightlatchServer { process, address, launch: self, earlier_log: String::new(), folder }
    }

    /// Starts it and waits until it can serve.
    pub async fn ready(self) -> NightlatchServer {
        let server = self.start();
        server.wait_until_ready().await;
        server
    }

    /// Runs the command to its end with `arguments` and returns what it printed, by the same
    /// environment and in the same folder as `server`.
    #[must_use]
    pub fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().envs(&self.variables).args(arguments).current_dir(folder);
        command
    }

    pub(super) fn begin(&self, folder: &Path, arguments: &[&str]) -> ServerProcess {
        let mut command = Command::new("setpriv");
        if self.is_unprivileged && is_root() {
            give_to_server(folder);
            command.args(AS_NOBODY);
        }
        command.arg("--").args(&self.wrapper).args(["env", "-i"]);
        command.args(self.variables.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg(&self.binary).args(arguments).current_dir(folder);
        ServerProcess::spawn_logging(command, LOG_LINES_MAX)
    }

    pub(super) fn run_in(&self, folder: &Path) -> (ServerProcess, SocketAddr) {
        let flags = self.flags.iter().map(String::as_str);
        let arguments: Vec<&str> = std::iter::once("serve").chain(flags).collect();
        let process = self.begin(folder, &arguments);
        let address = if self.is_silent {
            self.wait_until_it_accepts(&process)
        } else {
            process.wait_for_log(START_LIMIT, listening_address)
        };
        match address {
            Ok(address) => (process, address),
            Err(log) => panic!("the server does not listen:\n{log}"),
        }
    }

    fn wait_until_it_accepts(&self, process: &ServerProcess) -> Result<SocketAddr, String> {
        let address = self.variables["NIGHTLATCH_LISTEN"].parse().expect("an address of ours");
        let looks = START_LIMIT.as_millis() / ACCEPT_LOOK_EVERY.as_millis();
        for _ in 0..looks {
            if TcpStream::connect(address).is_ok() {
                return Ok(address);
            }
            // Ends at once when the process does.
            if process.has_ended_within(ACCEPT_LOOK_EVERY) {
                break;
            }
        }
        Err(process.log())
    }
}

/// The origin that browsers see in [`Launch::in_production`].
pub const PRODUCTION_ORIGIN: &str = "https://login.example";

/// The secret in [`Launch::in_production`].
pub const PRODUCTION_SECRET: &str = "wq8ZtL3vXn6RkE1yHs9UbJ5mGd2PcAf7";

/// The address of the line that says where it listens, as JSON or as text.
fn listening_address(line: &str) -> Option<SocketAddr> {
    if !line.contains("server.listening") {
        return None;
    }
    let address = match serde_json::from_str::<Value>(line) {
        Ok(line) => line.get("address")?.as_str()?.to_owned(),
        Err(_) => line.split_once("address=\"")?.1.split_once('"')?.0.to_owned(),
    };
    address.strip_prefix("http://")?.parse().ok()
}
