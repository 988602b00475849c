//! Two servers on one record: how soon what is revoked on one is refused by the other, how many
//! revocations there are in a second, and what remembering them costs.
//!
//! The record is a SQLite file, which each server looks at four times a second; a PostgreSQL says by
//! itself that something has happened.

use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::connection::Connection;
use crate::latency::Latencies;
use crate::load::{Load, Requests};
use crate::plan::Plan;
use crate::report::{Row, millis};
use crate::server::{Program, Server};
use crate::stored_sessions::{Stored, ready};
use crate::{memory, people};

const CONNECTIONS: usize = 32;

/// Within this a logout binds every server that reaches the record.
const REACHES_WITHIN: Duration = Duration::from_secs(2);

/// Between two logouts, of which none must come in the rhythm of the looks.
const APART: Duration = Duration::from_millis(37);

/// How long the other server is given to hear of what was revoked at once.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// Measures all of it.
pub(crate) async fn measure(program: &Program, plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let home = TempDir::new().context("making a temporary directory")?;
    let first = ready(program, home.path()).await?;
    people::register(first.address).await?;
    first.process.stop()?;
    let stored = plan.logouts + plan.revocations + plan.revoked_at_once;
    let tokens = Stored::new(home.path())?.fill_up_to(stored, stored)?;
    let (singles, rest) = tokens.split_at(plan.logouts);
    let (many, last) = rest.split_at(plan.revocations);
    let here = ready(program, home.path()).await?;
    let there = ready(program, home.path()).await?;
    let mut rows = vec![reach(&here, &there, singles).await?];
    rows.extend(revocations(&here, &there, many).await?);
    rows.push(at_once(&here, &there, last, plan.revoked_at_once).await?);
    Ok(rows)
}

/// From the answer to a logout on one server to the first refusal by the other.
async fn reach(here: &Server, there: &Server, tokens: &[String]) -> anyhow::Result<Row> {
    let mut own = Connection::open(here.address).await?;
    let mut other = Connection::open(there.address).await?;
    let mut latencies = Latencies::default();
    for (number, token) in (0..).zip(tokens) {
        let check = people::check_request(token);
        let csrf = csrf_token(&mut other, &check).await?;
        sleep(APART * (number % 7)).await;
        let logout = logout_request(token, &csrf);
        let status = own.exchange(logout.as_bytes()).await?.status;
        anyhow::ensure!(status == 200, "a logout was answered {status}");
        let told = Instant::now();
        while other.exchange(check.as_bytes()).await?.status == 200 {
            anyhow::ensure!(told.elapsed() < HEARD_WITHIN, "a logout does not reach the other");
        }
        latencies.push(told.elapsed());
    }
    let (p50, p99) = (latencies.p50(), latencies.p99());
    let slowest = latencies.percentile(1000);
    let result = format!("p50 {}, p99 {}, slowest {}", millis(p50), millis(p99), millis(slowest));
    let what = format!("from a logout to the other server's refusal, {} times", tokens.len());
    Ok(Row::new(what, result).with_aim("at most 2 s", slowest <= REACHES_WITHIN))
}

/// The session's CSRF token, as its check tells it.
pub(crate) async fn csrf_token(connection: &mut Connection, check: &str) -> anyhow::Result<String> {
    let answer = connection.exchange(check.as_bytes()).await?;
    let body = std::str::from_utf8(answer.body).context("a binary body")?;
    let token = body.split_once(r#""csrf_token":""#).and_then(|(_, rest)| rest.split_once('"'));
    let (token, _) = token.with_context(|| format!("no csrf_token in {body}"))?;
    Ok(token.to_owned())
}

pub(crate) fn logout_request(token: &str, csrf: &str) -> String {
    people::change_request("POST /api/v1/auth/logout", token, csrf)
}

/// The requests that log sessions out, of which each is checked once.
pub(crate) async fn logout_requests(
    server: &Server,
    tokens: &[String],
) -> anyhow::Result<Vec<String>> {
    let mut connection = Connection::open(server.address).await?;
    let mut logouts = Vec::with_capacity(tokens.len());
    for token in tokens {
        let csrf = csrf_token(&mut connection, &people::check_request(token)).await?;
        logouts.push(logout_request(token, &csrf));
    }
    Ok(logouts)
}

/// Logs sessions out as fast as it goes, and looks at what the other server remembers of it.
async fn revocations(here: &Server, there: &Server, tokens: &[String]) -> anyhow::Result<[Row; 2]> {
    let logouts = logout_requests(here, tokens).await?;
    let load = Load {
        server: here.address,
        requests: Requests::once(logouts),
        connections: CONNECTIONS,
        every: Duration::ZERO,
    };
    let before = there.process.resident()?.anonymous_bytes();
    let mut outcome = load.run(Duration::from_mins(2)).await?;
    sleep(REACHES_WITHIN).await;
    let after = there.process.resident()?.anonymous_bytes();
    anyhow::ensure!(outcome.refused == 0, "{} logouts were refused", outcome.refused);
    let count = u32::try_from(outcome.latencies.len())?;
    let each_second = f64::from(count) / outcome.took.as_secs_f64();
    let (p50, p99) = (outcome.latencies.p50(), outcome.latencies.p99());
    let result = format!("{each_second:.0}/s, p50 {}, p99 {}", millis(p50), millis(p99));
    let grown = memory::megabytes(after.saturating_sub(before));
    Ok([
        Row::new(format!("logouts over {CONNECTIONS} connections, each on the disk"), result),
        Row::new(format!("memory of {count} revocations on the other server"), grown),
    ])
}

/// Ends all sessions of a user but one.
async fn at_once(
    here: &Server,
    there: &Server,
    tokens: &[String],
    count: usize,
) -> anyhow::Result<Row> {
    let [kept, ended, ..] = tokens else { anyhow::bail!("there are too few sessions") };
    let mut own = Connection::open(here.address).await?;
    let mut other = Connection::open(there.address).await?;
    let check = people::check_request(ended);
    csrf_token(&mut other, &check).await?;
    let csrf = csrf_token(&mut own, &people::check_request(kept)).await?;
    let asked = Instant::now();
    let revoke = people::change_request("DELETE /api/v1/sessions", kept, &csrf);
    let status = own.exchange(revoke.as_bytes()).await?.status;
    let told = asked.elapsed();
    let what = format!("{count} sessions of one user revoked at once");
    if status != 200 {
        return Ok(Row::new(what, format!("answered {status} after {}", millis(told))));
    }
    while other.exchange(check.as_bytes()).await?.status == 200 {
        anyhow::ensure!(asked.elapsed() < HEARD_WITHIN, "revocations do not reach the other");
    }
    let reached = asked.elapsed();
    let result =
        format!("answered after {}, refused by the other after {}", millis(told), millis(reached));
    Ok(Row::new(what, result))
}
