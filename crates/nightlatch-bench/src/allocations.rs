//! How often a session check asks for memory: steadier than any time, and what makes most of it.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use tempfile::TempDir;

use crate::child::read_line;
use crate::connection::Connection;
use crate::people;
use crate::report::Row;
use crate::server::Program;
use crate::start;

/// The server with an allocator that counts, beside this program.
const COUNTED: &str = "nightlatch-counted";

/// Checks before the count begins: buffers and caches have their sizes then.
const WARM_UP: usize = 1000;

/// Checks that are counted: so many that what the server does beside them does not show.
const CHECKS: u32 = 20_000;

/// Counts on a server of its own.
pub(crate) async fn measure(program: &Program) -> anyhow::Result<Row> {
    let home = TempDir::new().context("making a temporary directory")?;
    let counted = Program { path: beside(COUNTED)?, ..program.clone() };
    let mut server = counted.start_with(home.path(), |command| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
    })?;
    let (mut ask, mut said) = (server.process.take_stdin(), server.process.take_stdout());
    start::become_ready(&server).await?;
    people::register(server.address).await?;
    let checks = people::open_sessions(server.address, 1).await?;

    let mut connection = Connection::open(server.address).await?;
    for _ in 0..WARM_UP {
        connection.exchange(checks[0].as_bytes()).await?;
    }
    let before = count(&mut ask, &mut said)?;
    for _ in 0..CHECKS {
        connection.exchange(checks[0].as_bytes()).await?;
    }
    let allocations = count(&mut ask, &mut said)? - before;
    server.process.stop()?;
    let each = f64::from(u32::try_from(allocations)?) / f64::from(CHECKS);
    Ok(Row::new("allocations of a session check, HTTP included".to_owned(), format!("{each:.1}")))
}

fn count(ask: &mut impl Write, said: &mut impl BufRead) -> anyhow::Result<u64> {
    ask.write_all(b"\n").context("asking for the allocations")?;
    read_line(said)?.parse().context("the number of allocations")
}

fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    Ok(own.with_file_name(name))
}
