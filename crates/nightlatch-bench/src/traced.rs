//! What traces cost a session check: not asked for, all of them, and one in twenty, by turns.
//!
//! The collector takes what comes and looks at nothing; it has the load generator's core.

use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::accelerated::metric;
use crate::latency::median;
use crate::load::{Load, Requests};
use crate::plan::Plan;
use crate::report::{Row, micros};
use crate::server::{Program, Server};
use crate::{people, start};

const CONNECTIONS: usize = 32;

/// What is traced: words, sampler, and its argument.
const SAMPLERS: &[(&str, &str, &str)] =
    &[("every check traced", "always_on", "1"), ("one in twenty traced", "traceidratio", "0.05")];

/// A server and what its checks came to.
struct Side {
    what: &'static str,
    server: Server,
    load: Load,
    rates: Vec<f64>,
    core: Duration,
    answered: usize,
    _home: TempDir,
}

/// Measures all by turns.
pub(crate) async fn measure(program: &Program, plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let collector = format!("http://{}", listener.local_addr()?);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        axum::serve(listener, Router::new().fallback(|_: Bytes| async {})).await
    });
    let mut sides = vec![Side::begin(program, plan, ("not traced", &[])).await?];
    for &(what, sampler, argument) in SAMPLERS {
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str()),
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ];
        sides.push(Side::begin(program, plan, (what, &settings)).await?);
    }
    for side in &sides {
        side.load.run(plan.check_turn / 3).await?;
    }
    for _ in 0..plan.turns {
        for side in &mut sides {
            side.take_turn(plan.check_turn).await?;
        }
    }
    let (off, on) = sides.split_first().context("nothing was measured")?;
    let mut rows = Vec::with_capacity(on.len());
    for side in on {
        rows.push(side.against(off).await?);
    }
    for side in sides {
        side.server.process.stop()?;
    }
    Ok(rows)
}

impl Side {
    async fn begin(
        program: &Program,
        plan: &Plan,
        (what, settings): (&'static str, &[(&str, &str)]),
    ) -> anyhow::Result<Self> {
        let home = TempDir::new().context("making a temporary directory")?;
        let server = program.start_with(home.path(), |command| {
            command.envs(settings.iter().copied());
            // Served with everything else, where its port is known.
            command.env("NIGHTLATCH_METRICS_LISTEN", "none");
        })?;
        start::become_ready(&server).await?;
        people::register(server.address).await?;
        let checks = people::open_sessions(server.address, plan.traced).await?;
        let load = Load {
            server: server.address,
            requests: Requests::new(checks),
            connections: CONNECTIONS,
            every: Duration::ZERO,
        };
        let (rates, core) = (Vec::new(), Duration::ZERO);
        Ok(Self { what, server, load, rates, core, answered: 0, _home: home })
    }

    async fn take_turn(&mut self, span: Duration) -> anyhow::Result<()> {
        let before = self.server.process.ran()?;
        let outcome = self.load.run(span).await?;
        self.core += (self.server.process.ran()? - before).all();
        anyhow::ensure!(outcome.refused == 0, "{} good requests were refused", outcome.refused);
        self.answered += outcome.latencies.len();
        self.rates.push(outcome.rate());
        Ok(())
    }

    fn core_each(&self) -> Duration {
        self.core / u32::try_from(self.answered).unwrap_or(u32::MAX).max(1)
    }

    async fn against(&self, off: &Self) -> anyhow::Result<Row> {
        let ratios = || self.rates.iter().zip(&off.rates).map(|(on, off)| on / off);
        let (low, high) = (ratios().fold(f64::MAX, f64::min), ratios().fold(f64::MIN, f64::max));
        let spans = |outcome: &str| {
            let series = format!(r#"nightlatch_trace_spans_total{{outcome="{outcome}"}}"#);
            async move { metric(self.server.address, &series).await }
        };
        let (exported, dropped) = (spans("exported").await?, spans("dropped").await?);
        anyhow::ensure!(exported > 0, "{}: no span was exported", self.what);
        let result = format!(
            "{:.2} (turns {low:.2} to {high:.2}); {} of the core each against {}; {exported} spans \
             exported, {dropped} dropped since too many waited",
            median(ratios()),
            micros(self.core_each()),
            micros(off.core_each()),
        );
        Ok(Row::new(format!("session checks, {} against not traced", self.what), result))
    }
}
