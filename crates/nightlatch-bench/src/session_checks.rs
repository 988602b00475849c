//! Session checks against the bare handler, by turns.

use std::sync::Arc;
use std::time::Duration;

use crate::bare::Bare;
use crate::child::Process;
use crate::latency::median;
use crate::load::{Load, Outcome, Requests};
use crate::plan::Plan;
use crate::report::{Row, micros};
use crate::server::{Program, Server};

/// Enough that the server's core never waits for the load generator, and many.
const CONNECTIONS: &[usize] = &[32, 256];

/// How many checks there should be for one answer of the bare handler.
const RATIO_MIN: f64 = 0.85;

/// What one of the two came to.
struct Side {
    outcome: Outcome,
    /// Requests a second of each turn.
    rates: Vec<f64>,
    /// What its process had of its core.
    core: Duration,
}

/// Measures both, and says what each came to and how they compare.
pub(crate) async fn measure(
    program: &Program,
    server: &Server,
    checks: &[String],
    plan: &Plan,
) -> anyhow::Result<Vec<Row>> {
    let bare = Bare::like(server.address, &checks[0], program.cores).await?;
    let requests = Requests::new(checks.to_vec());
    let mut rows = Vec::new();
    for &connections in CONNECTIONS {
        let load = |server| Load {
            server,
            requests: Arc::clone(&requests),
            connections,
            every: Duration::ZERO,
        };
        let loads = (load(bare.address), load(server.address));
        let (bare_side, server_side) = by_turns((&bare, server), loads, plan).await?;
        rows.extend(compared(bare_side, server_side, connections, checks.len()));
    }
    Ok(rows)
}

/// Loads the bare handler and the server, one after the other.
async fn by_turns(
    (bare, server): (&Bare, &Server),
    (to_bare, to_server): (Load, Load),
    plan: &Plan,
) -> anyhow::Result<(Side, Side)> {
    let (mut bare_side, mut server_side) = (Side::new(), Side::new());
    for warm_up in [&to_bare, &to_server] {
        warm_up.run(plan.check_turn / 3).await?;
    }
    for _ in 0..plan.turns {
        bare_side.take_turn(&to_bare, &bare.process, plan.check_turn).await?;
        server_side.take_turn(&to_server, &server.process, plan.check_turn).await?;
    }
    Ok((bare_side, server_side))
}

impl Side {
    fn new() -> Self {
        Self { outcome: Outcome::default(), rates: Vec::new(), core: Duration::ZERO }
    }

    async fn take_turn(
        &mut self,
        load: &Load,
        process: &Process,
        span: Duration,
    ) -> anyhow::Result<()> {
        let before = process.core_time()?;
        let outcome = load.run(span).await?;
        self.core += process.core_time()?.saturating_sub(before);
        anyhow::ensure!(outcome.refused == 0, "{} good requests were refused", outcome.refused);
        self.rates.push(outcome.rate());
        self.outcome.append(outcome);
        Ok(())
    }

    /// What one request took of the core.
    fn core_each(&self) -> Duration {
        let answered = u32::try_from(self.outcome.latencies.len()).unwrap_or(u32::MAX);
        self.core / answered.max(1)
    }

    fn row(&mut self, what: String) -> Row {
        let rate = median(self.rates.iter().copied());
        let busy = self.core.as_secs_f64() / self.outcome.took.as_secs_f64() * 100.0;
        let latencies = &mut self.outcome.latencies;
        let (p50, p99) = (micros(latencies.p50()), micros(latencies.p99()));
        let each = micros(self.core_each());
        Row::new(
            what,
            format!(
                "{rate:.0} requests/s, p50 {p50}, p99 {p99}; {each} of the core each, which was {busy:.0} % busy with it"
            ),
        )
    }
}

fn compared(mut bare: Side, mut server: Side, connections: usize, sessions: usize) -> Vec<Row> {
    let turns = || server.rates.iter().zip(&bare.rates).map(|(server, bare)| server / bare);
    let ratio = median(turns());
    let (low, high) = (turns().fold(f64::MAX, f64::min), turns().fold(f64::MIN, f64::max));
    let core_ratio = bare.core_each().as_secs_f64() / server.core_each().as_secs_f64();
    vec![
        bare.row(format!("bare handler, {connections} connections")),
        server.row(format!(
            "`GET /api/v1/session`, {connections} connections, {sessions} rotating sessions"
        )),
        Row::new(
            format!("session checks against the bare handler, {connections} connections"),
            format!(
                "{ratio:.2} (turns {low:.2} to {high:.2}); by time on the core {core_ratio:.2}"
            ),
        )
        .with_aim("at least 0.85", ratio >= RATIO_MIN),
    ]
}
