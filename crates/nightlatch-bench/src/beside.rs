//! The same load on what many Rust applications have: tower-sessions with its Redis store.
//!
//! It is a program of its own (`beside/tower-sessions`), built by `cargo xtask bench`, since none of what
//! it depends on belongs to Nightlatch.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::accelerated::{CONNECTIONS, FAULT_EVERY, WAITED_FROM, spread};
use crate::connection::{Connection, header};
use crate::load::{Load, Requests};
use crate::redis::{Fails, Redis};
use crate::report::{Row, micros, millis};
use crate::server::{Program, Server};

const SESSIONS: usize = 1000;

/// One turn of checks, and how long of it Redis is silent.
const TURN: Duration = Duration::from_secs(6);
const SILENCE: Duration = Duration::from_secs(2);

/// Measures it.
pub(crate) async fn measure(beside: &Program) -> anyhow::Result<Vec<Row>> {
    let redis = Redis::start().await?;
    let home = TempDir::new().context("making a temporary directory")?;
    let server = beside.start_with(home.path(), |command| {
        command.arg(format!("redis://127.0.0.1:{}", redis.port()));
    })?;
    let checks = open_sessions(server.address).await?;
    let load = |every| Load {
        server: server.address,
        requests: Requests::new(checks.clone()),
        connections: CONNECTIONS,
        every,
    };
    let mut rows = vec![check(&server, load(Duration::ZERO)).await?];
    let mut well = load(FAULT_EVERY).run(TURN).await?;
    let what = "tower-sessions, 500 checks a second, Redis well".to_owned();
    rows.push(Row::new(what, spread(&mut well)));
    let silent = load(FAULT_EVERY);
    redis.fail(Fails::Silent)?;
    let (told, mended) = tokio::join!(under_fault(silent), async {
        sleep(SILENCE).await;
        redis.mend(Fails::Silent)
    });
    mended?;
    let what = format!("the same, of which Redis is silent for {} s", SILENCE.as_secs());
    rows.push(Row::new(what, told));
    let killed = load(FAULT_EVERY);
    redis.fail(Fails::Killed)?;
    rows.push(Row::new("the same from when Redis is killed".to_owned(), under_fault(killed).await));
    Ok(rows)
}

async fn check(server: &Server, load: Load) -> anyhow::Result<Row> {
    let before = server.process.core_time()?;
    let outcome = load.run(TURN).await?;
    let took = server.process.core_time()?.saturating_sub(before);
    let core_each = took / u32::try_from(outcome.latencies.len())?.max(1);
    let result = format!("{:.0}/s; {} of the core each", outcome.rate(), micros(core_each));
    Ok(Row::new("tower-sessions with its Redis store: checks".to_owned(), result))
}

async fn under_fault(load: Load) -> String {
    match load.run(TURN).await {
        Ok(mut outcome) if outcome.latencies.len() > 0 => {
            let waited = outcome.latencies.count_from(WAITED_FROM);
            let refused = outcome.refused;
            format!(
                "{}; {waited} waited {} or longer, {refused} were told something else than 200",
                spread(&mut outcome),
                millis(WAITED_FROM)
            )
        }
        Ok(outcome) => format!("all {} were told something else than 200", outcome.refused),
        Err(error) => format!("no result: {error}"),
    }
}

/// The requests that check new sessions.
async fn open_sessions(server: SocketAddr) -> anyhow::Result<Vec<String>> {
    let mut connection = Connection::open(server).await?;
    let login = "POST /api/v1/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    let mut checks = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let answer = connection.exchange(login.as_bytes()).await?;
        anyhow::ensure!(answer.status == 200, "logging in: {}", answer.status);
        let cookie =
            header(answer.head, "set-cookie").next().context("a login without a cookie")?;
        let pair = cookie.split(';').next().unwrap_or(cookie);
        checks.push(format!(
            "GET /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncookie: {pair}\r\n\r\n"
        ));
    }
    Ok(checks)
}
