//! A real `PgBouncer` in transaction mode before a [`PostgresServer`].
//!
//! With it, statements of one client run on changing connections: what a record leaves behind in a
//! connection is not there the next time.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::installed::assert_installed;
use crate::postgres::{PASSWORD, PostgresServer};
use crate::process::{ServerProcess, free_port, give_to_server, unprivileged};

const START_LIMIT: Duration = Duration::from_secs(20);

/// The port that it has as it comes.
const PORT: u16 = 6432;

/// How often another port is tried when somebody was faster.
const PORT_TRIES: u32 = 5;

/// A `PgBouncer` of its own.
pub struct PgBouncer {
    process: ServerProcess,
    address: SocketAddrV4,
    /// Last: the server has ended when its files go.
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts it before `server`, with at most `pool_size` connections to each database.
    #[must_use]
    pub fn launch(server: &PostgresServer, pool_size: u32) -> Self {
        Self::launch_with(server, pool_size, &[])
    }

    /// The same with settings of `pgbouncer.ini`, such as `("pool_mode", "session")`.
    #[must_use]
    pub fn launch_with(server: &PostgresServer, pool_size: u32, settings: &[(&str, &str)]) -> Self {
        assert_installed(unprivileged(Path::new("pgbouncer")).arg("--version"), "pgbouncer");
        let mut refusal = String::new();
        for _ in 0..PORT_TRIES {
            let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port());
            match Self::try_launch(server, pool_size, address, settings) {
                Ok(bouncer) => return bouncer,
                Err(log) => refusal = log,
            }
        }
        panic!("PgBouncer does not start:\n{refusal}");
    }

    /// Starts it at the port that it has as it comes, of an address of this machine that is the server's alone.
    #[must_use]
    pub fn launch_at_its_port(server: &PostgresServer) -> Self {
        assert_installed(unprivileged(Path::new("pgbouncer")).arg("--version"), "pgbouncer");
        let [high, low] = server.port().to_be_bytes();
        let address = SocketAddrV4::new(Ipv4Addr::new(127, high, low, 1), PORT);
        let launched = Self::try_launch(server, 3, address, &[]);
        launched.unwrap_or_else(|log| panic!("PgBouncer does not start:\n{log}"))
    }

    /// The superuser's URL of a database, through the pool.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@{}/{database}", self.address)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    fn try_launch(
        server: &PostgresServer,
        pool_size: u32,
        address: SocketAddrV4,
        more: &[(&str, &str)],
    ) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("nightlatch-pgbouncer-")
            .tempdir()
            .expect("the temporary folder takes a folder");
        let mut settings = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={server_port} user=postgres password={PASSWORD}\n\
             [pgbouncer]\n\
             listen_addr = {}\nlisten_port = {}\nunix_socket_dir =\n\
             pool_mode = transaction\ndefault_pool_size = {pool_size}\nauth_type = plain\n\
             auth_file = users.txt\n",
            address.ip(),
            address.port(),
            server_port = server.port()
        );
        for (name, value) in more {
            let _ = writeln!(settings, "{name} = {value}");
        }
        let users = format!("\"postgres\" \"{PASSWORD}\"\n");
        fs::write(folder.path().join("pgbouncer.ini"), settings).expect("our folder takes a file");
        fs::write(folder.path().join("users.txt"), users).expect("our folder takes a file");
        give_to_server(folder.path());
        let mut pgbouncer = unprivileged(Path::new("pgbouncer"));
        pgbouncer.arg("pgbouncer.ini").current_dir(folder.path());
        let process = ServerProcess::spawn(pgbouncer);
        process.wait_for_line("process up", START_LIMIT)?;
        Ok(Self { process, address, _folder: folder })
    }
}
