//! A real PostgreSQL: its own data folder, its own port, gone with the test.
//!
//! What a login service promises under faults can only be shown with a server that really stops,
//! dies and comes back. This one does each on request.

mod session;
mod standby;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::clock::FakeClock;
use crate::process::{ServerProcess, free_port, give_to_server, run, unprivileged};

pub use session::Session;
pub use standby::BaseBackup;

/// The superuser's password. Connections over TCP must give it.
pub const PASSWORD: &str = "correct-horse";

/// How long a start may take, recovery after a kill included.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How long an orderly stop may take before it is cut short.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How often another port is tried when somebody was faster.
const PORT_TRIES: u32 = 5;

/// What a server says that takes changes, and one that follows another.
const READY: &str = "database system is ready to accept connections";
const READY_TO_READ: &str = "database system is ready to accept read-only connections";

/// A `PostgreSQL` server of its own.
pub struct PostgresServer {
    process: Mutex<Option<ServerProcess>>,
    port: u16,
    binaries: PathBuf,
    /// What is different in its environment: words for `env`.
    environment: Vec<String>,
    databases: AtomicU32,
    /// Last: the server has ended when its files go.
    folder: TempDir,
}

impl PostgresServer {
    /// Starts a server as it comes, `fsync` on: what was acknowledged survives [`Self::kill_9`].
    #[must_use]
    pub fn launch() -> Self {
        Self::launch_with(&[])
    }

    /// Starts a server with settings of `postgresql.conf`, such as `("fsync", "off")`.
    #[must_use]
    pub fn launch_with(settings: &[(&str, &str)]) -> Self {
        Self::launch_in(&[], settings)
    }

    /// Starts a server that sees another time than the machine.
    #[must_use]
    pub fn launch_under(clock: &FakeClock, settings: &[(&str, &str)]) -> Self {
        Self::launch_in(&clock.environment(), settings)
    }

    fn launch_in(environment: &[String], settings: &[(&str, &str)]) -> Self {
        let mut refusal = String::new();
        for _ in 0..PORT_TRIES {
            let server = Self::in_new_folder(free_port(), environment.to_vec());
            server.initialise();
            server.configure(settings);
            match server.try_start() {
                Ok(()) => return server,
                Err(log) if log.contains("could not bind") => refusal = log,
                Err(log) => panic!("PostgreSQL does not start:\n{log}"),
            }
        }
        panic!("no port for PostgreSQL in {PORT_TRIES} tries:\n{refusal}");
    }

    /// The server that the tests of this program share while one of them holds it. For tests that
    /// neither stop it nor change its settings.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::launch_with(&[("max_connections", "300")]));
        *shared = Arc::downgrade(&server);
        server
    }

    /// The port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's URL of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_as("postgres", PASSWORD, database)
    }

    /// The URL of a database for some role.
    #[must_use]
    pub fn url_as(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgres://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database and returns its name.
    #[must_use]
    pub fn create_database(&self) -> String {
        let name = format!("db{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Runs SQL as superuser and returns its rows, columns separated by `|`.
    #[must_use = "or bind it to _"]
    pub fn query(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"]);
        psql.args(["-p", &self.port.to_string(), "-d", database, "-c", sql]);
        run(psql.env("PGPASSWORD", PASSWORD).current_dir("/")).trim_end().to_owned()
    }

    /// Runs SQL as superuser.
    pub fn sql(&self, database: &str, sql: &str) {
        let _: String = self.query(database, sql);
    }

    /// Appends settings; they hold from the next start or, most of them, [`Self::reload`].
    pub fn configure(&self, settings: &[(&str, &str)]) {
        let path = self.data().join("postgresql.conf");
        let mut file = OpenOptions::new().append(true).open(path).expect("initdb has written it");
        for (name, value) in settings {
            writeln!(file, "{name} = '{value}'").expect("the data folder takes a line");
        }
    }

    /// Writes a file into the data folder, readable by the server alone, and returns its path.
    pub fn put_file(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.data().join(name);
        fs::write(&path, contents).expect("the data folder takes a file");
        run(Command::new("chmod").arg("600").arg(&path));
        give_to_server(&path);
        path
    }

    /// Makes the server read its settings anew. What follows on new connections sees them.
    pub fn reload(&self) {
        self.with_process(|process| process.signal(Signal::HUP));
    }

    /// Starts it again on the same port and data.
    pub fn start(&self) {
        if let Err(log) = self.try_start() {
            panic!("PostgreSQL does not start again:\n{log}");
        }
    }

    /// Stops it in order; open connections are cut ("fast").
    pub fn stop(&self) {
        if let Some(process) = self.lock().take() {
            process.end(Signal::INT, STOP_LIMIT);
        }
    }

    /// Begins a stop that waits for those who are connected ("smart"); nobody else is let in meanwhile.
    pub fn begin_stop(&self) {
        self.with_process(|process| process.signal(Signal::TERM));
    }

    /// Kills the server and all its backends at once.
    pub fn kill_9(&self) {
        if let Some(process) = self.lock().take() {
            process.kill_9();
        }
    }

    /// Stops it where it is, backends too: connections stay open, nothing answers.
    pub fn pause(&self) {
        self.with_process(ServerProcess::pause);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.with_process(ServerProcess::resume);
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.lock().as_ref().map(ServerProcess::log).unwrap_or_default()
    }

    /// A server without data.
    fn in_new_folder(port: u16, environment: Vec<String>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("nightlatch-postgres-")
            .tempdir()
            .expect("the temporary folder takes a folder");
        give_to_server(folder.path());
        let (process, binaries, databases) = (Mutex::new(None), binaries(), AtomicU32::new(0));
        Self { process, port, binaries, environment, databases, folder }
    }

    fn initialise(&self) {
        let password = self.folder.path().join("password");
        fs::write(&password, PASSWORD).expect("our folder takes a file");
        give_to_server(&password);
        let mut initdb = self.program("initdb");
        initdb.args(["--no-locale", "--encoding=UTF8", "--no-sync", "--username=postgres"]);
        initdb.args(["--auth=scram-sha-256", "--pwfile=password", "--pgdata=data"]);
        run(&mut initdb);
        self.configure_place();
        self.configure(&[
            ("listen_addresses", "127.0.0.1"),
            ("log_destination", "stderr"),
            ("logging_collector", "off"),
            ("lc_messages", "C"),
        ]);
    }

    /// What is another for each server, also for one whose data were copied.
    fn configure_place(&self) {
        self.configure(&[
            ("port", &self.port.to_string()),
            ("unix_socket_directories", &self.folder.path().display().to_string()),
        ]);
    }

    /// A program of PostgreSQL, in the server's folder, as the server's user.
    fn program(&self, name: &str) -> Command {
        let mut program = unprivileged(Path::new("env"));
        program.args(&self.environment).arg(self.binaries.join(name));
        program.current_dir(self.folder.path());
        program
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn try_start(&self) -> Result<(), String> {
        self.try_start_until(READY)
    }

    /// Starts it and waits until it says `ready`.
    fn try_start_until(&self, ready: &str) -> Result<(), String> {
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(self.data());
        let process = ServerProcess::spawn(postgres);
        process.wait_for_line(ready, START_LIMIT)?;
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

/// The folder of the newest installed server, or an empty path: then `PATH` is searched.
fn binaries() -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            folder.join("initdb").exists().then_some((version, folder))
        })
        .max_by_key(|(version, _)| *version)
        .map(|(_, folder)| folder);
    let folder = newest.unwrap_or_default();
    let found = Command::new(folder.join("postgres")).arg("--version").output();
    assert!(found.is_ok(), "PostgreSQL is not installed: Debian package `postgresql`");
    folder
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn what_was_committed_survives_a_kill_and_a_stop() {
        let server = PostgresServer::launch();
        let database = server.create_database();
        server.sql(&database, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
        server.kill_9();
        assert!(TcpStream::connect(("127.0.0.1", server.port())).is_err());
        server.start();
        server.sql(&database, "INSERT INTO t VALUES (2)");
        server.stop();
        server.start();
        assert_eq!(server.query(&database, "SELECT sum(n) FROM t"), "3");
    }

    #[test]
    fn a_paused_server_is_ended_with_its_test() {
        let server = PostgresServer::launch_with(&[("fsync", "off")]);
        let port = server.port();
        server.pause();
        drop(server);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
