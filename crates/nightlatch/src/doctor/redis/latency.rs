//! How soon a Redis answers, and that it does: what is good to know of one that can be used.

use std::time::Duration;

use nightlatch_core::FailureClass;
use nightlatch_store::redis::inspect::RedisState;

use super::super::finding::Finding;
use super::milliseconds;
use super::subject::Subject;
use crate::config::ProblemLevel::{Error, Info, Warn};

/// Bars of the histogram, the lowest first.
const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// The upper bounds of its classes, in microseconds.
const BOUNDS: [u64; 9] = [50, 100, 200, 500, 1000, 2000, 5000, 20_000, 100_000];

/// The contract's longest deadline, in milliseconds.
const DEADLINE_MAX: u64 = 200;

/// One finding: fine, slow, or not answering any more.
pub(super) fn judge(
    subject: &Subject,
    state: &RedisState,
    took: Result<Vec<Duration>, FailureClass>,
) -> Finding {
    let mut took = match took {
        Ok(took) if !took.is_empty() => took,
        Ok(_) => return Finding::new("redis-answers", Info, "answers"),
        Err(class) => {
            let why = format!("stops answering after some questions ({class})");
            return Finding::new("redis-hangs", Error, why);
        }
    };
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    let (median, late, worst) = (at(50), at(99), at(100));
    let facts = facts(state);
    let spread = format!(
        "{} round trips: median {}, 99 of 100 within {}, worst {}",
        took.len(),
        milliseconds(median),
        milliseconds(late),
        milliseconds(worst)
    );
    let text = Some(histogram(&took));
    if late <= subject.config.deadline {
        let why = format!("answers: {facts}; {spread}");
        return Finding { text, ..Finding::new("redis-answers", Info, why) };
    }
    let deadline = subject.config.deadline.as_millis();
    let why = format!(
        "answers later than the {deadline} ms that a request waits for it: {spread}; {facts}"
    );
    let finding = Finding { text, ..Finding::new("redis-slow", Warn, why) };
    let millis = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
    let better = millis.saturating_mul(2).div_ceil(10).saturating_mul(10);
    if subject.is_ours && better <= DEADLINE_MAX {
        return finding.fix(format!("REDIS_DEADLINE_MS={better}"));
    }
    finding
}

/// What it is, in a few words.
fn facts(state: &RedisState) -> String {
    let product = if state.is_valkey { "Valkey" } else { "Redis" };
    let version = state.version.as_ref().map(|version| format!("{product} {version}"));
    let role = state.role.as_deref().map(|role| match role {
        "master" => "primary".to_owned(),
        _ => "replica".to_owned(),
    });
    let clients = state.clients.zip(state.clients_max);
    let clients = clients.map(|(now, most)| format!("{now} of {most} clients"));
    let memory = state.memory_used.map(|used| match state.memory_max {
        Some(0) | None => format!("{} used", mebibytes(used)),
        Some(most) => format!("{} of {} used", mebibytes(used), mebibytes(most)),
    });
    let facts: Vec<String> = [version, role, clients, memory].into_iter().flatten().collect();
    if facts.is_empty() { "it says nothing of itself".to_owned() } else { facts.join(", ") }
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// `≤0.10 ms █ 80  ≤0.20 ms ▂ 20`: sorted times, in classes.
fn histogram(took: &[Duration]) -> String {
    let mut parts = Vec::new();
    let mut below = 0;
    for bound in BOUNDS.map(Duration::from_micros).into_iter().chain([Duration::MAX]) {
        let within = took.partition_point(|one| *one <= bound);
        let count = within - below;
        below = within;
        if count > 0 {
            let bar = BARS[((count * BARS.len()).div_ceil(took.len()) - 1).min(BARS.len() - 1)];
            let label = if bound == Duration::MAX {
                "later".to_owned()
            } else {
                format!("≤{}", milliseconds(bound))
            };
            parts.push(format!("{label} {bar} {count}"));
        }
    }
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_in_classes() {
        let took: Vec<Duration> =
            [40, 60, 70, 90, 300_000].into_iter().map(Duration::from_micros).collect();
        assert_eq!(histogram(&took), "≤0.05 ms ▂ 1  ≤0.10 ms ▅ 3  later ▂ 1");
    }
}
