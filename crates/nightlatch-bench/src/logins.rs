//! Logins against raw hashing, by turns.

use std::time::Duration;

use crate::latency::median;
use crate::load::{Load, Outcome, Requests};
use crate::people;
use crate::plan::Plan;
use crate::raw_hash::RawHash;
use crate::report::{Row, millis};
use crate::server::{Program, Server};

/// Enough that a hashing thread always finds the next login waiting.
const CONNECTIONS: usize = 8;

/// How many logins there should be for one verification without anything around it.
const RATIO_MIN: f64 = 0.95;

/// Measures both, and says how they compare.
pub(crate) async fn measure(
    program: &Program,
    server: &Server,
    plan: &Plan,
) -> anyhow::Result<Vec<Row>> {
    let mut raw = RawHash::spawn(program.cores)?;
    let load = Load {
        server: server.address,
        requests: Requests::new(people::login_requests()),
        connections: CONNECTIONS,
        every: Duration::ZERO,
    };
    let (mut hashes, mut logins, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut all = Outcome::default();
    raw.rate(plan.login_turn / 4)?;
    load.run(plan.login_turn / 4).await?;
    for _ in 0..plan.turns {
        // Hashing before and after: what the machine does meanwhile is in both.
        let before = raw.rate(plan.login_turn / 2)?;
        let outcome = load.run(plan.login_turn).await?;
        let after = raw.rate(plan.login_turn / 2)?;
        hashes.extend([before, after]);
        logins.push(outcome.rate());
        ratios.push(outcome.rate() / f64::midpoint(before, after));
        all.append(outcome);
    }
    let (p50, p99) = (millis(all.latencies.p50()), millis(all.latencies.p99()));
    let ratio = median(ratios.iter().copied());
    let low = ratios.iter().copied().fold(f64::MAX, f64::min);
    let high = ratios.iter().copied().fold(f64::MIN, f64::max);
    Ok(vec![
        Row::new("raw argon2id verifications".to_owned(), format!("{:.1}/s", median(hashes))),
        Row::new(
            format!("logins over {CONNECTIONS} connections"),
            format!("{:.1}/s, p50 {p50}, p99 {p99}, {} refused", median(logins), all.refused),
        ),
        Row::new(
            "logins against raw verifications".to_owned(),
            format!("{ratio:.3} (turns {low:.3} to {high:.3})"),
        )
        .with_aim("at least 0.95", ratio >= RATIO_MIN),
    ])
}
