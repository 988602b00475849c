//! Logins against raw hashing, by turns.

use std::time::Duration;

use crate::latency::median;
use crate::load::{Load, Outcome, Requests};
use crate::people;
use crate::plan::Plan;
use crate::raw::Raw;
use crate::raw_hash;
use crate::report::{Row, millis};
use crate::server::{Program, Server};

/// Enough that a hashing thread always finds the next login waiting.
const CONNECTIONS: usize = 8;

/// How many logins there should be for one verification without anything around it.
const RATIO_MIN: f64 = 0.95;

/// What all turns came to.
#[derive(Default)]
struct Turns {
    raw_rates: Vec<f64>,
    login_rates: Vec<f64>,
    ratios: Vec<f64>,
    logins: Outcome,
    verified: u32,
    /// What each of the two had of its core.
    raw_core: Duration,
    login_core: Duration,
}

/// Measures both, and says how they compare.
pub(crate) async fn measure(
    program: &Program,
    server: &Server,
    plan: &Plan,
) -> anyhow::Result<Vec<Row>> {
    let mut raw = Raw::spawn(program.cores, raw_hash::ARGUMENT)?;
    let load = Load {
        server: server.address,
        requests: Requests::new(people::login_requests()),
        connections: CONNECTIONS,
        every: Duration::ZERO,
    };
    raw.turn(plan.login_turn / 4)?;
    load.run(plan.login_turn / 4).await?;
    let (raw_before, login_before) = (raw.process.core_time()?, server.process.core_time()?);
    let mut turns = Turns::default();
    for _ in 0..plan.turns {
        // Hashing before and after: what the machine does meanwhile is in both.
        let before = raw.turn(plan.login_turn / 2)?;
        let logins = load.run(plan.login_turn).await?;
        let after = raw.turn(plan.login_turn / 2)?;
        turns.raw_rates.extend([before.rate(), after.rate()]);
        turns.login_rates.push(logins.rate());
        turns.ratios.push(logins.rate() / f64::midpoint(before.rate(), after.rate()));
        turns.logins.append(logins);
        turns.verified += before.done + after.done;
    }
    turns.raw_core = raw.process.core_time()?.saturating_sub(raw_before);
    turns.login_core = server.process.core_time()?.saturating_sub(login_before);
    Ok(turns.rows())
}

impl Turns {
    fn rows(mut self) -> Vec<Row> {
        let latencies = &mut self.logins.latencies;
        let logged_in = u32::try_from(latencies.len()).unwrap_or(u32::MAX);
        let (p50, p99) = (millis(latencies.p50()), millis(latencies.p99()));
        let ratio = median(self.ratios.iter().copied());
        let low = self.ratios.iter().copied().fold(f64::MAX, f64::min);
        let high = self.ratios.iter().copied().fold(f64::MIN, f64::max);
        let raw_each = self.raw_core / self.verified.max(1);
        let login_each = self.login_core / logged_in.max(1);
        let core_ratio = raw_each.as_secs_f64() / login_each.as_secs_f64();
        vec![
            Row::new(
                "raw argon2id verifications".to_owned(),
                format!("{:.1}/s; {} of the core each", median(self.raw_rates), millis(raw_each)),
            ),
            Row::new(
                format!("logins over {CONNECTIONS} connections"),
                format!(
                    "{:.1}/s, p50 {p50}, p99 {p99}, {} refused; {} of the core each",
                    median(self.login_rates),
                    self.logins.refused,
                    millis(login_each)
                ),
            ),
            Row::new(
                "logins against raw verifications".to_owned(),
                format!(
                    "{ratio:.3} (turns {low:.3} to {high:.3}); by time on the core {core_ratio:.3}"
                ),
            )
            .with_aim("at least 0.95", ratio >= RATIO_MIN),
        ]
    }
}
