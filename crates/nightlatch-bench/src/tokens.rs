//! Access tokens against the bare verification of a signature, by turns; and exchanges of refresh
//! tokens as fast as they go.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::latency::{Latencies, median};
use crate::load::{Load, Outcome, Requests};
use crate::people;
use crate::plan::Plan;
use crate::postgres::Postgres;
use crate::raw::Raw;
use crate::raw_verify;
use crate::report::{Row, micros, millis};
use crate::server::{Program, Server};
use crate::start;

/// Clients with tokens, each with a connection of its own.
const CLIENTS: usize = 32;

/// Access tokens of each, so that no two requests in a row are of the same.
const TOKENS_EACH: usize = 30;

/// Measures both, and says how they compare.
pub(crate) async fn measure(
    program: &Program,
    server: &Server,
    plan: &Plan,
) -> anyhow::Result<Vec<Row>> {
    let mut clients = log_in(server.address).await?;
    let mut verifications = Vec::new();
    for client in &mut clients {
        for _ in 0..TOKENS_EACH {
            client.exchange().await?;
            verifications.push(people::verify_request(&client.access));
        }
    }
    let mut rows = verified(program, server, verifications, plan).await?;
    rows.push(exchanged("SQLite", server.address, clients, plan).await?);
    Ok(rows)
}

/// Exchanges on a PostgreSQL beside the load generator.
pub(crate) async fn exchanged_on_postgres(program: &Program, plan: &Plan) -> anyhow::Result<Row> {
    let (postgres, home) = (Postgres::start().await?, TempDir::new()?);
    let server = program.start_with(home.path(), |command| {
        command.env("DATABASE_URL", postgres.url());
    })?;
    start::become_ready(&server).await?;
    people::register(server.address).await?;
    let clients = log_in(server.address).await?;
    let row = exchanged("PostgreSQL", server.address, clients, plan).await?;
    server.process.stop()?;
    Ok(row)
}

async fn log_in(server: SocketAddr) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(CLIENTS);
    for user in 0..CLIENTS {
        clients.push(Client::log_in(server, user).await?);
    }
    Ok(clients)
}

async fn verified(
    program: &Program,
    server: &Server,
    requests: Vec<String>,
    plan: &Plan,
) -> anyhow::Result<Vec<Row>> {
    let mut raw = Raw::spawn(program.cores, raw_verify::ARGUMENT)?;
    let count = requests.len();
    let load = Load {
        server: server.address,
        requests: Requests::new(requests),
        connections: CLIENTS,
        every: Duration::ZERO,
    };
    raw.turn(plan.check_turn / 3)?;
    load.run(plan.check_turn / 3).await?;
    let (mut raw_rates, mut rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut all = Outcome::default();
    for _ in 0..plan.turns {
        let before = raw.turn(plan.check_turn / 2)?;
        let answered = load.run(plan.check_turn).await?;
        let after = raw.turn(plan.check_turn / 2)?;
        anyhow::ensure!(answered.refused == 0, "{} good tokens were refused", answered.refused);
        raw_rates.extend([before.rate(), after.rate()]);
        rates.push(answered.rate());
        ratios.push(answered.rate() / f64::midpoint(before.rate(), after.rate()));
        all.append(answered);
    }
    let (p50, p99) = (micros(all.latencies.p50()), micros(all.latencies.p99()));
    let rate = median(rates.iter().copied());
    let low = ratios.iter().copied().fold(f64::MAX, f64::min);
    let high = ratios.iter().copied().fold(f64::MIN, f64::max);
    let ratio = median(ratios.iter().copied());
    Ok(vec![
        Row::new("raw Ed25519 verifications".to_owned(), format!("{:.0}/s", median(raw_rates))),
        Row::new(
            format!("`POST /api/v1/auth/verify`, {CLIENTS} connections, {count} rotating tokens"),
            format!("{rate:.0} requests/s, p50 {p50}, p99 {p99}"),
        ),
        Row::new(
            "verified tokens against raw verifications".to_owned(),
            format!("{ratio:.2} (turns {low:.2} to {high:.2})"),
        ),
    ])
}

async fn exchanged(
    record: &str,
    server: SocketAddr,
    mut clients: Vec<Client>,
    plan: &Plan,
) -> anyhow::Result<Row> {
    let span = plan.check_turn * 2;
    for client in &mut clients {
        // Nobody has used the one before for as long as the server keeps it.
        client.connection = Connection::open(server).await?;
    }
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(client.exchange_until(began + span));
    }
    let mut latencies = Latencies::default();
    for client in tasks.join_all().await {
        latencies.append(client?);
    }
    let count = u32::try_from(latencies.len()).unwrap_or(u32::MAX);
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    let (p50, p99) = (millis(latencies.p50()), millis(latencies.p99()));
    let what = format!(
        "exchanges of refresh tokens on {record} over {CLIENTS} connections, each on the disk"
    );
    Ok(Row::new(what, format!("{rate:.0}/s, p50 {p50}, p99 {p99}")))
}

/// A client with a pair of tokens.
struct Client {
    connection: Connection,
    access: String,
    refresh: String,
}

impl Client {
    async fn log_in(server: SocketAddr, user: usize) -> anyhow::Result<Self> {
        let connection = Connection::open(server).await?;
        let mut client = Self { connection, access: String::new(), refresh: String::new() };
        client.ask(&people::token_request(user)).await?;
        Ok(client)
    }

    async fn exchange(&mut self) -> anyhow::Result<()> {
        let request = people::exchange_request(&self.refresh);
        self.ask(&request).await
    }

    async fn exchange_until(mut self, end: Instant) -> anyhow::Result<Latencies> {
        let mut latencies = Latencies::default();
        loop {
            let asked = Instant::now();
            if asked >= end {
                return Ok(latencies);
            }
            self.exchange().await?;
            latencies.push(asked.elapsed());
        }
    }

    async fn ask(&mut self, request: &str) -> anyhow::Result<()> {
        let answer = self.connection.exchange(request.as_bytes()).await?;
        let said = std::str::from_utf8(answer.body).context("a binary answer")?;
        anyhow::ensure!(answer.status == 200, "tokens: {}: {said}", answer.status);
        let of = |name| text_of(said, name).with_context(|| format!("no {name} in {said}"));
        (self.access, self.refresh) = (of("access")?.to_owned(), of("refresh")?.to_owned());
        Ok(())
    }
}

/// A member of an object of plain texts.
fn text_of<'t>(object: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = object.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_taken_from_the_answer() {
        let answer = r#"{"access":"a.b.c","refresh":"r"}"#;
        assert_eq!(
            (text_of(answer, "access"), text_of(answer, "refresh")),
            (Some("a.b.c"), Some("r"))
        );
        assert_eq!(text_of("{}", "access"), None);
    }
}
