//! Session checks while everybody logs in at once.

use std::time::Duration;

use crate::load::{Load, Outcome, Requests};
use crate::people;
use crate::plan::Plan;
use crate::report::{Row, micros};
use crate::server::Server;

/// Logins that go on at every moment of the storm.
const LOGINS: usize = 64;

/// Session checks come in a rhythm of 500 a second, far below what a core can do: what is looked
/// for is the wait behind a login, not the queue behind other checks.
const CHECK_CONNECTIONS: usize = 8;
const CHECK_EVERY: Duration = Duration::from_millis(16);

/// How many times longer the slowest hundredth of checks may take in the storm.
const SLOWER_MAX: f64 = 2.0;

/// Measures checks without and with the storm, by turns.
pub(crate) async fn measure(
    server: &Server,
    checks: &[String],
    plan: &Plan,
) -> anyhow::Result<Vec<Row>> {
    let check = Load {
        server: server.address,
        requests: Requests::new(checks.to_vec()),
        connections: CHECK_CONNECTIONS,
        every: CHECK_EVERY,
    };
    let login = Load {
        requests: Requests::new(people::login_requests()),
        connections: LOGINS,
        every: Duration::ZERO,
        ..check.clone()
    };
    let mut calm = Outcome::default();
    let (mut stormy, mut logins) = (Outcome::default(), Outcome::default());
    for _ in 0..plan.turns {
        calm.append(check.run(plan.storm_turn).await?);
        let both = tokio::try_join!(check.run(plan.storm_turn), login.run(plan.storm_turn))?;
        stormy.append(both.0);
        logins.append(both.1);
    }
    let checks_refused = calm.refused + stormy.refused;
    anyhow::ensure!(checks_refused == 0, "{checks_refused} session checks were refused");
    Ok(rows(calm, stormy, &logins))
}

fn rows(mut calm: Outcome, mut stormy: Outcome, logins: &Outcome) -> Vec<Row> {
    let slower = stormy.latencies.p99().as_secs_f64() / calm.latencies.p99().as_secs_f64();
    let said = |outcome: &mut Outcome| {
        let latencies = &mut outcome.latencies;
        let (p50, p99) = (micros(latencies.p50()), micros(latencies.p99()));
        format!("p50 {p50}, p99 {p99}, slowest {}", micros(latencies.percentile(1000)))
    };
    vec![
        Row::new("session checks, 500 a second, nothing else".to_owned(), said(&mut calm)),
        Row::new(
            format!("the same while {LOGINS} logins go on"),
            format!(
                "{}; {:.1} logins/s, {} refused",
                said(&mut stormy),
                logins.rate(),
                logins.refused
            ),
        ),
        Row::new("p99 in the storm against p99 without".to_owned(), format!("{slower:.2}"))
            .with_aim("at most 2", slower <= SLOWER_MAX),
    ]
}
