//! One to four nodes on one PostgreSQL: what each adds, and how far a logout has to go.
//!
//! The record is the one thing that all of them share: what each costs it is what ends growing by nodes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::meter::{Cost, Meter, float};
use super::record::{Done, Record};
use crate::connection::Connection;
use crate::latency::Latencies;
use crate::load::{Load, Outcome, Requests};
use crate::people;
use crate::plan::{Plan, Scale};
use crate::server::{Program, Server};
use crate::two_nodes::{csrf_token, logout_request, logout_requests};

/// Over all nodes together.
const CONNECTIONS: usize = 32;

/// Sessions that are checked again and again, on every node.
const CHECKED_AGAIN: usize = 1000;

/// Between two logouts, of which none must come in the rhythm of the looks.
const APART: Duration = Duration::from_millis(37);

/// How long the others are given to hear of a logout.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// What so many nodes came to.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) nodes: usize,
    /// In a second in which nobody asks anything, of all nodes.
    pub(super) idle: PerSecond,
    pub(super) check_rate: f64,
    pub(super) check: Cost,
    /// What the record has to do in a second while sessions are checked that all nodes know.
    pub(super) followed: PerSecond,
    pub(super) logout_rate: f64,
    pub(super) logout: Cost,
    /// Bytes that a node's memory grew by for each of these, on the node that grew most.
    pub(super) remembered: u64,
    /// From the answer to a logout to the refusal by the last of the others; none if there is none.
    pub(super) reach: Option<(Duration, Duration)>,
}

/// What goes on in a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct PerSecond {
    pub(super) transactions: f64,
    /// Bytes of the record's log.
    pub(super) log: f64,
    /// Of the record's core, and of the nodes'.
    pub(super) record: Duration,
    pub(super) servers: Duration,
}

/// Measures with each number of nodes.
pub(super) async fn measure(
    program: &Program,
    record: &mut Record,
    plan: &Plan,
) -> anyhow::Result<Vec<Shared>> {
    let Scale { nodes, revocations, reached, .. } = plan.scale;
    let more = nodes * (revocations + reached) + CHECKED_AGAIN;
    let tokens = record.fill_up_to(record.stored + more, more)?;
    let (known, ended) = tokens.split_at(CHECKED_AGAIN);
    let mut all = Vec::new();
    for (count, ended) in (1..=nodes).zip(ended.chunks(revocations + reached)) {
        let mut servers = Vec::with_capacity(count);
        for _ in 0..count {
            servers.push(record.start(program).await?);
        }
        let meter = Meter { servers: &servers, record };
        all.push(of_nodes(meter, known, ended, plan).await?);
        for server in servers {
            server.process.stop()?;
        }
    }
    Ok(all)
}

async fn of_nodes(
    meter: Meter<'_>,
    known: &[String],
    ended: &[String],
    plan: &Plan,
) -> anyhow::Result<Shared> {
    sleep(plan.scale.settle).await;
    let idle = watched(meter, async {
        sleep(plan.scale.idle).await;
        Ok(())
    });
    let (idle, ()) = idle.await?;
    let checks: Vec<String> = known.iter().map(|token| people::check_request(token)).collect();
    for server in meter.servers {
        // Then every node knows them.
        load(server, Requests::once(checks.clone())).run(HEARD_WITHIN).await?;
    }
    let every = vec![checks; meter.servers.len()];
    let before = meter.read()?;
    let (followed, answered) =
        watched(meter, on_each(meter.servers, every, Requests::new, plan.check_turn)).await?;
    let check = meter.since(before)?.each(answered.latencies.len());
    let (singles, many) = ended.split_at(plan.scale.reached.min(ended.len()));
    let reach = match meter.servers {
        [_] => None,
        [first, others @ ..] => Some(reach(first, others, singles).await?),
        [] => anyhow::bail!("no node"),
    };
    let mut logouts = Vec::with_capacity(meter.servers.len());
    let each = many.len().div_ceil(meter.servers.len()).max(1);
    for (server, part) in meter.servers.iter().zip(many.chunks(each)) {
        logouts.push(logout_requests(server, part).await?);
    }
    let (memory, before) = (anonymous(meter.servers)?, meter.read()?);
    let out = on_each(meter.servers, logouts, Requests::once, Duration::from_mins(1)).await?;
    sleep(plan.scale.settle).await;
    let logout = meter.since(before)?.each(out.latencies.len());
    let grown = anonymous(meter.servers)?.into_iter().zip(memory);
    let grown = grown.map(|(after, before)| after.saturating_sub(before)).max().unwrap_or(0);
    Ok(Shared {
        nodes: meter.servers.len(),
        idle,
        check_rate: answered.rate(),
        check,
        followed,
        logout_rate: out.rate(),
        logout,
        remembered: grown / u64::try_from(out.latencies.len())?.max(1),
        reach,
    })
}

/// What goes on in a second while something is done.
async fn watched<T>(
    meter: Meter<'_>,
    something: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(PerSecond, T)> {
    // Reading is work, too.
    let before = meter.read()?;
    let reading = meter.since(before)?.record;
    let (before, began) = (meter.read()?, Instant::now());
    let told = something.await?;
    let took = began.elapsed();
    let done = meter.since(before)?;
    let Done { ran, transactions, log } = done.record;
    let in_second = |count: u64| float(count) / took.as_secs_f64();
    let core = |ran: Duration| ran.div_f64(took.as_secs_f64());
    let per_second = PerSecond {
        transactions: in_second(transactions.saturating_sub(reading.transactions)),
        log: in_second(log),
        record: core(ran.all().saturating_sub(reading.ran.all())),
        servers: core(done.servers.all()),
    };
    Ok((per_second, told))
}

/// A load on each node, all at once.
async fn on_each(
    servers: &[Server],
    requests: Vec<Vec<String>>,
    form: impl Fn(Vec<String>) -> Arc<Requests>,
    span: Duration,
) -> anyhow::Result<Outcome> {
    let mut tasks = JoinSet::new();
    for (server, requests) in servers.iter().zip(requests) {
        let connections = (CONNECTIONS / servers.len()).max(1);
        let load = Load { connections, ..load(server, form(requests)) };
        tasks.spawn(async move { load.run(span).await });
    }
    let mut all = Outcome::default();
    for outcome in tasks.join_all().await {
        let outcome = outcome?;
        anyhow::ensure!(outcome.refused == 0, "{} good requests were refused", outcome.refused);
        let took = all.took.max(outcome.took);
        all.append(outcome);
        // They were beside each other.
        all.took = took;
    }
    Ok(all)
}

/// The middle and the slowest of the times until the last node refuses.
async fn reach(
    first: &Server,
    others: &[Server],
    tokens: &[String],
) -> anyhow::Result<(Duration, Duration)> {
    let mut own = Connection::open(first.address).await?;
    let mut connections = Vec::with_capacity(others.len());
    for other in others {
        connections.push(Connection::open(other.address).await?);
    }
    let mut latencies = Latencies::default();
    for (number, token) in (0..).zip(tokens) {
        let check = people::check_request(token);
        let csrf = csrf_token(&mut own, &check).await?;
        for other in &mut connections {
            csrf_token(other, &check).await.context("another node does not know a session")?;
        }
        sleep(APART * (number % 7)).await;
        let status = own.exchange(logout_request(token, &csrf).as_bytes()).await?.status;
        anyhow::ensure!(status == 200, "a logout was answered {status}");
        let told = Instant::now();
        for other in &mut connections {
            while other.exchange(check.as_bytes()).await?.status == 200 {
                anyhow::ensure!(told.elapsed() < HEARD_WITHIN, "a logout does not reach all");
            }
        }
        latencies.push(told.elapsed());
    }
    Ok((latencies.p50(), latencies.percentile(1000)))
}

fn anonymous(servers: &[Server]) -> anyhow::Result<Vec<u64>> {
    servers.iter().map(|server| Ok(server.process.resident()?.anonymous_bytes())).collect()
}

fn load(server: &Server, requests: Arc<Requests>) -> Load {
    Load { server: server.address, requests, connections: CONNECTIONS, every: Duration::ZERO }
}
