//! What everything costs while few, many and very many sessions are stored.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::meter::{Cost, Meter, Reading};
use super::record::{Disk, Record};
use crate::latency::median;
use crate::load::{Load, Outcome, Requests};
use crate::people;
use crate::plan::{Plan, Scale};
use crate::server::{Program, Server};
use crate::two_nodes::logout_requests;

const CONNECTIONS: usize = 32;

/// Enough that a hashing thread always finds the next login waiting.
const LOGIN_CONNECTIONS: usize = 8;

/// People whose logins take turns.
const LOGINS_OF: usize = 200;

/// Sessions that are checked again and again.
const CHECKED_AGAIN: usize = 1000;

/// What one size came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Costs {
    pub(super) stored: usize,
    pub(super) disk: Disk,
    pub(super) start: Duration,
    pub(super) first: Cost,
    pub(super) known: Cost,
    /// Bytes of the server's memory.
    pub(super) copy: u64,
    pub(super) login: Cost,
    pub(super) logout: Cost,
    pub(super) logout_rate: f64,
}

/// Measures with each number of stored sessions.
pub(super) async fn measure(
    program: &Program,
    record: &mut Record,
    plan: &Plan,
) -> anyhow::Result<Vec<Costs>> {
    let mut all = Vec::new();
    for &count in plan.scale.stored {
        let tokens = record.fill_up_to(count, plan.scale.checked)?;
        all.push(of_size(program, record, &tokens, plan).await?);
    }
    Ok(all)
}

async fn of_size(
    program: &Program,
    record: &Record,
    tokens: &[String],
    plan: &Plan,
) -> anyhow::Result<Costs> {
    let disk = record.disk()?;
    let start = starts(program, record, plan.scale.starts).await?;
    let server = [record.start(program).await?];
    sleep(plan.scale.settle).await;
    let meter = Meter { servers: &server, record };
    let checks: Vec<String> = tokens.iter().map(|token| people::check_request(token)).collect();
    let (first, copy) = first_checks(meter, &checks).await?;
    let step = (checks.len() / CHECKED_AGAIN).max(1);
    let again = Requests::new(checks.into_iter().step_by(step).collect());
    let known = take(meter, &load(&server[0], again), plan.check_turn).await?;
    let step = (record.stored / LOGINS_OF).max(1);
    let people = (1..=record.stored).step_by(step).map(Record::person);
    let logins = people.map(|name| people::login_request_as(&name)).collect();
    let logins = Load { connections: LOGIN_CONNECTIONS, ..load(&server[0], Requests::new(logins)) };
    let login = take(meter, &logins, plan.login_turn).await?;
    let ended = &tokens[..tokens.len().div_ceil(2).min(plan.scale.logouts)];
    let logouts = Requests::once(logout_requests(&server[0], ended).await?);
    let (logout, outcome) =
        taken(meter, &load(&server[0], logouts), Duration::from_mins(1)).await?;
    let [server] = server;
    server.process.stop()?;
    Ok(Costs {
        stored: record.stored,
        disk,
        start,
        first,
        known,
        copy,
        login,
        logout: logout.each(outcome.latencies.len()),
        logout_rate: outcome.rate(),
    })
}

/// The time from the program's beginning to its first answer, in the middle of some.
async fn starts(program: &Program, record: &Record, count: usize) -> anyhow::Result<Duration> {
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        let server = record.start(program).await?;
        taken.push(began.elapsed().as_secs_f64());
        server.process.stop()?;
    }
    Ok(Duration::from_secs_f64(median(taken)))
}

/// Each session once, and what the server's memory grows by in the second half of them: in the first,
/// buffers and caches fill, too.
async fn first_checks(meter: Meter<'_>, checks: &[String]) -> anyhow::Result<(Cost, u64)> {
    let server = &meter.servers[0];
    // Both halves lie evenly among all that is stored.
    let (even, odd) = (checks.iter().step_by(2), checks.iter().skip(1).step_by(2));
    let halves = [even.cloned().collect::<Vec<_>>(), odd.cloned().collect()];
    let (mut done, mut memory) = (Reading::default(), 0);
    for half in halves {
        let (count, before) = (half.len(), server.process.resident()?.anonymous_bytes());
        let requests = Requests::once(half);
        let (reading, _) = taken(meter, &load(server, requests), Duration::from_mins(1)).await?;
        done += reading;
        let grown = server.process.resident()?.anonymous_bytes().saturating_sub(before);
        memory = grown / u64::try_from(count)?.max(1);
    }
    Ok((done.each(checks.len()), memory))
}

/// What writing down costs when a session was last used. The checks note it; it is written behind them.
pub(super) async fn uses(
    program: &Program,
    record: &mut Record,
    scale: &Scale,
) -> anyhow::Result<Cost> {
    let tokens = record.fill_used(scale.used)?;
    let server = [record.start(program).await?];
    let meter = Meter { servers: &server, record };
    let checks: Vec<String> = tokens.iter().map(|token| people::check_request(token)).collect();
    let once = || load(&server[0], Requests::once(checks.clone()));
    // Now they are known, and noted for the first time.
    once().run(Duration::from_mins(1)).await?;
    sleep(scale.until_noted).await;
    let known =
        take(meter, &load(&server[0], Requests::new(checks[..1].to_vec())), scale.settle).await?;
    let before = meter.read()?;
    once().run(Duration::from_mins(1)).await?;
    sleep(scale.until_written).await;
    let cost = meter.since(before)?.each(checks.len());
    let [server] = server;
    server.process.stop()?;
    Ok(Cost { server: cost.server.saturating_sub(known.server), ..cost })
}

async fn take(meter: Meter<'_>, load: &Load, span: Duration) -> anyhow::Result<Cost> {
    let (done, outcome) = taken(meter, load, span).await?;
    Ok(done.each(outcome.latencies.len()))
}

async fn taken(
    meter: Meter<'_>,
    load: &Load,
    span: Duration,
) -> anyhow::Result<(Reading, Outcome)> {
    let before = meter.read()?;
    let outcome = load.run(span).await?;
    let done = meter.since(before)?;
    anyhow::ensure!(outcome.refused == 0, "{} good requests were refused", outcome.refused);
    Ok((done, outcome))
}

fn load(server: &Server, requests: std::sync::Arc<Requests>) -> Load {
    Load { server: server.address, requests, connections: CONNECTIONS, every: Duration::ZERO }
}
