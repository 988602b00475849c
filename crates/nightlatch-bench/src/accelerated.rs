//! Redis between servers: what a session costs that another server has shared, what a Redis that fails
//! costs people, and what a session takes there.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::connection::Connection;
use crate::load::{Load, Outcome, Requests};
use crate::people;
use crate::plan::Plan;
use crate::redis::{Fails, Redis, USED_WITHIN};
use crate::report::{Row, SETTLE, micros, millis};
use crate::server::{Program, Server};
use crate::start;
use crate::stored_sessions::{Stored, ready};

pub(crate) const CONNECTIONS: usize = 32;

/// Slow enough that every copy finds room in the queue of those that are written to Redis.
const SHARING_EVERY: Duration = Duration::from_millis(16);

/// 500 checks a second.
pub(crate) const FAULT_EVERY: Duration = Duration::from_millis(64);

/// What one request may wait for Redis, and what is more than it ever waits without.
const DEADLINE: Duration = Duration::from_millis(20);
pub(crate) const WAITED_FROM: Duration = Duration::from_millis(15);

/// Measures all of it.
pub(crate) async fn measure(program: &Program, plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let home = TempDir::new().context("making a temporary directory")?;
    let server = ready(program, home.path()).await?;
    people::register(server.address).await?;
    server.process.stop()?;
    let tokens =
        Stored::new(home.path())?.fill_up_to(plan.shared_sessions, plan.shared_sessions)?;
    let checks: Vec<String> = tokens.iter().map(|token| people::check_request(token)).collect();

    let cold = ready(program, home.path()).await?;
    let from_database = once(&cold, &checks, Duration::ZERO).await?;
    let from_memory = once(&cold, &checks, Duration::ZERO).await?;
    cold.process.stop()?;

    let redis = Redis::start().await?;
    let empty = redis.used_memory()?;
    let sharing = start_with_redis(program, home.path(), &redis).await?;
    once(&sharing, &checks, SHARING_EVERY).await?;
    sharing.process.stop()?;
    let bytes = redis.bytes_each(empty)?;
    let cold = start_with_redis(program, home.path(), &redis).await?;
    let from_redis = once(&cold, &checks, Duration::ZERO).await?;
    let share = share_from_redis(cold.address).await?;
    cold.process.stop()?;

    let count = checks.len();
    let mut rows = vec![
        first_checks(
            format!("first check of {count} sessions on a cold server, from its database"),
            from_database,
        ),
        first_checks(format!("the same from Redis, where {share:.0} % were found"), from_redis),
        first_checks("the checks after them, from memory".to_owned(), from_memory),
        Row::new("a session in Redis".to_owned(), bytes),
    ];
    rows.extend(faults(program, home.path(), redis, &checks).await?);
    Ok(rows)
}

/// What a load came to, and what of the core each answer took.
struct Checked {
    outcome: Outcome,
    core_each: Duration,
}

/// Checks each session once.
async fn once(server: &Server, checks: &[String], every: Duration) -> anyhow::Result<Checked> {
    let load = Load {
        server: server.address,
        requests: Requests::once(checks.to_vec()),
        connections: CONNECTIONS,
        every,
    };
    let before = server.process.core_time()?;
    let outcome = load.run(Duration::from_mins(5)).await?;
    let took = server.process.core_time()?.saturating_sub(before);
    anyhow::ensure!(outcome.refused == 0, "{} stored sessions were refused", outcome.refused);
    let core_each = took / u32::try_from(outcome.latencies.len())?.max(1);
    Ok(Checked { outcome, core_each })
}

fn first_checks(what: String, Checked { mut outcome, core_each }: Checked) -> Row {
    let (p50, p99) = (outcome.latencies.p50(), outcome.latencies.p99());
    let (rate, core_each) = (outcome.rate(), micros(core_each));
    let took = outcome.took.as_secs_f64();
    let result = format!(
        "{rate:.0}/s, all in {took:.2} s, p50 {}, p99 {}; {core_each} of the core each",
        micros(p50),
        micros(p99)
    );
    Row::new(what, result)
}

async fn start_with_redis(program: &Program, home: &Path, redis: &Redis) -> anyhow::Result<Server> {
    let server = program.start_with(home, |command| {
        command.env("REDIS_URL", format!("redis://127.0.0.1:{}", redis.port()));
        // Served with everything else, where its port is known.
        command.env("NIGHTLATCH_METRICS_LISTEN", "none");
    })?;
    start::become_ready(&server).await?;
    let since = Instant::now();
    while metric(server.address, r#"nightlatch_dependency_up{dependency="redis"}"#).await? != 1 {
        anyhow::ensure!(since.elapsed() < USED_WITHIN, "the server does not use Redis");
        sleep(Duration::from_millis(50)).await;
    }
    // It hashes at its start, to learn what that costs here.
    sleep(SETTLE).await;
    Ok(server)
}

/// Of the sessions that were asked for, how many of a hundred came from Redis.
async fn share_from_redis(server: SocketAddr) -> anyhow::Result<f64> {
    let redis =
        metric(server, r#"nightlatch_session_lookups_total{source="redis",outcome="session"}"#)
            .await?;
    let database =
        metric(server, r#"nightlatch_session_lookups_total{source="database",outcome="session"}"#)
            .await?;
    Ok(100.0 * f64::from(redis) / f64::from((redis + database).max(1)))
}

/// The value of a series; 0 as long as there is none.
pub(crate) async fn metric(server: SocketAddr, series: &str) -> anyhow::Result<u32> {
    let mut connection = Connection::open(server).await?;
    let request = "GET /metrics HTTP/1.1\r\nhost: login.example.org\r\n\r\n";
    let answer = connection.exchange(request.as_bytes()).await?;
    anyhow::ensure!(answer.status == 200, "metrics were answered {}", answer.status);
    let text = std::str::from_utf8(answer.body).context("binary metrics")?;
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(Ok(0), |value| value.parse().context("a metric that is no whole number"))
}

/// Checks of sessions that the server does not know, while Redis is well and while it is not.
async fn faults(
    program: &Program,
    home: &Path,
    redis: Redis,
    checks: &[String],
) -> anyhow::Result<Vec<Row>> {
    let part = checks.len() / 4;
    let [well, silent, killed] =
        [0, 1, 2].map(|number| &checks[number * part..(number + 1) * part]);
    let server = start_with_redis(program, home, &redis).await?;
    let mut healthy = once(&server, well, FAULT_EVERY).await?.outcome;
    server.process.stop()?;
    let healthy_slowest = healthy.latencies.percentile(1000);
    let mut rows = vec![Row::new(
        "500 checks a second of sessions that are not known, Redis well".to_owned(),
        spread(&mut healthy),
    )];
    for (what, checks, fails) in [
        ("the same from when Redis falls silent", silent, Fails::Silent),
        ("the same from when Redis is killed", killed, Fails::Killed),
    ] {
        let server = start_with_redis(program, home, &redis).await?;
        redis.fail(fails)?;
        let mut outcome = once(&server, checks, FAULT_EVERY).await?.outcome;
        redis.mend(fails)?;
        let waited = outcome.latencies.count_from(WAITED_FROM);
        let slowest = outcome.latencies.percentile(1000);
        let result =
            format!("{}; {waited} waited {} or longer", spread(&mut outcome), millis(WAITED_FROM));
        let is_met = slowest <= healthy_slowest + DEADLINE;
        rows.push(Row::new(what.to_owned(), result).with_aim("one Redis deadline, 20 ms", is_met));
        server.process.stop()?;
    }
    Ok(rows)
}

pub(crate) fn spread(outcome: &mut Outcome) -> String {
    let (p50, p99) = (outcome.latencies.p50(), outcome.latencies.p99());
    format!(
        "p50 {}, p99 {}, slowest {}",
        micros(p50),
        micros(p99),
        millis(outcome.latencies.percentile(1000))
    )
}
