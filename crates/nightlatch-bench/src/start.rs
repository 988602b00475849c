//! Starts: from the program's beginning to its first answer from the record.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep, timeout};

use crate::connection::Connection;
use crate::latency::Latencies;
use crate::report::{Row, millis};
use crate::server::{Program, Server};

/// The longest that half of the starts may take.
const MEDIAN_MAX: Duration = Duration::from_millis(100);

/// How long a server may take to become ready.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// How often it is asked whether it is.
const ASK_EVERY: Duration = Duration::from_millis(1);

const READY: &[u8] = b"GET /health/ready HTTP/1.1\r\nhost: login.example.org\r\n\r\n";

/// Starts and stops servers: in `directories` one after the other.
pub(crate) async fn measure<'d>(
    program: &Program,
    what: &str,
    directories: impl IntoIterator<Item = &'d Path>,
) -> anyhow::Result<Row> {
    let mut taken = Latencies::default();
    for directory in directories {
        let began = Instant::now();
        let server = program.start(directory)?;
        become_ready(&server).await?;
        taken.push(began.elapsed());
        server.process.stop()?;
    }
    let median = taken.p50();
    let (low, high) = (millis(taken.percentile(0)), millis(taken.percentile(1000)));
    let said = format!("median {} of {} ({low} to {high})", millis(median), taken.len());
    Ok(Row::new(format!("start to first answer, {what}"), said)
        .with_aim("under 100 ms", median < MEDIAN_MAX))
}

/// Waits until a server says that it serves session checks.
pub(crate) async fn become_ready(server: &Server) -> anyhow::Result<()> {
    let asked = async {
        let mut connection = Connection::open(server.address).await?;
        while connection.exchange(READY).await?.status != 200 {
            sleep(ASK_EVERY).await;
        }
        anyhow::Ok(())
    };
    timeout(READY_LIMIT, asked).await.context("the server does not become ready")?
}
