//! How soon a Redis answers, and that it does: what is good to know of one that can be used.

use std::time::Duration;

use nightlatch_core::FailureClass;
use nightlatch_store::redis::inspect::RedisState;

use super::super::finding::Finding;
use super::super::spread::Spread;
use super::subject::Subject;
use crate::config::ProblemLevel::{Error, Info, Warn};

/// The contract's longest deadline, in milliseconds.
const DEADLINE_MAX: u64 = 200;

/// One finding: fine, slow, or not answering any more.
pub(super) fn judge(
    subject: &Subject,
    state: &RedisState,
    took: Result<Vec<Duration>, FailureClass>,
) -> Finding {
    let spread = match took.map(Spread::of) {
        Ok(Some(spread)) => spread,
        Ok(None) => return Finding::new("redis-answers", Info, "answers"),
        Err(class) => {
            let why = format!("stops answering after some questions ({class})");
            return Finding::new("redis-hangs", Error, why);
        }
    };
    let late = spread.late();
    let facts = facts(state);
    let text = Some(spread.histogram());
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
