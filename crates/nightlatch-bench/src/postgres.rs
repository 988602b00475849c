//! A PostgreSQL for what is measured on one. It runs beside the load generator, with its data on the disk
//! and `fsync` on: a commit costs what it costs.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::child::Process;

/// How long it may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// It refuses to run as root.
const AS_NOBODY: [&str; 5] = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"];

const PASSWORD: &str = "of-a-benchmark";

/// A PostgreSQL server of its own.
pub(crate) struct Postgres {
    pub(crate) process: Process,
    port: u16,
    _home: TempDir,
}

impl Postgres {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let home = TempDir::new().context("making a temporary directory")?;
        let binaries = binaries()?;
        fs::write(home.path().join("password"), PASSWORD)?;
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").args(["-R", "nobody:nogroup"]).arg(home.path()))?;
        }
        let mut initdb = as_its_user(&binaries.join("initdb"), home.path());
        initdb.args(["--no-locale", "--encoding=UTF8", "--username=postgres", "--pgdata=data"]);
        run(initdb.args(["--auth=scram-sha-256", "--pwfile=password"]))?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut postgres = as_its_user(&binaries.join("postgres"), home.path());
        postgres.args(["-D", "data", "-p", &port.to_string(), "-k", ""]);
        postgres.args(["-c", "log_min_messages=fatal"]);
        // Each server keeps up to 26.
        postgres.args(["-c", "max_connections=200"]);
        let process = Process::beside(Path::new(postgres.get_program()), |command| {
            command.args(postgres.get_args()).current_dir(home.path());
        })?;
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            anyhow::ensure!(since.elapsed() < STARTS_WITHIN, "PostgreSQL does not start");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { process, port, _home: home })
    }

    /// Has it run a script, and gives what that prints.
    pub(crate) fn run(
        &self,
        script: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<String> {
        let mut psql = Command::new(binaries()?.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", &self.url()]);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = psql.spawn().context("starting psql: Debian package `postgresql`")?;
        let mut input = BufWriter::new(running.stdin.take().expect("it was piped"));
        // What is wrong with the script psql says itself.
        let written = script(&mut input).and_then(|()| input.flush());
        drop(input);
        let output = running.wait_with_output().context("waiting for psql")?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "psql: {said}");
        written.context("telling psql what to do")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }
}

/// The folder of the newest installed server.
fn binaries() -> anyhow::Result<PathBuf> {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin")))
    });
    let newest = newest.filter(|(_, folder)| folder.join("initdb").exists()).max();
    let (_, folder) = newest.context("PostgreSQL is not there: Debian package `postgresql`")?;
    Ok(folder)
}

fn as_its_user(program: &Path, home: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        command.args(AS_NOBODY);
    }
    command.arg("--").arg(program).current_dir(home);
    command
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}
