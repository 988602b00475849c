//! What was seen in one row: judged, and printed for `cargo xtask faults`.

use std::collections::BTreeMap;
use std::time::Duration;

use nightlatch_testkit::history::{Asked, Circumstances, Judgement, Operation, judge_under};
use nightlatch_testkit::load::Summary;
use serde_json::{Value, json};

use super::drill::is_full;
use super::watch::Seen;

/// The most that live, ready and metrics may take here; the milliseconds are judged on an idle machine.
const HEALTH_CEILING: Duration = Duration::from_secs(1);

/// How soon after a fault everything is well again.
const RECOVERY_MAX: Duration = Duration::from_secs(5);

/// Log lines about one fault, a minute.
const LOG_LINES_MAX: usize = 6;

/// The longest that a login, a logout, a password change or an exchange of tokens may take, and some for
/// this machine.
const WRITE_CEILING: Duration = Duration::from_secs(6);

/// The longest that a session check may take, and some for this machine.
const CHECK_CEILING: Duration = Duration::from_secs(1);

/// What people must be told while a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// 200, all of them.
    Served,
    /// 503 where we cannot know, and some of it.
    Refused,
    /// 200 or 503.
    Either,
    /// Nothing: nobody is there.
    Silence,
}

/// What a row wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) writes: Wanted,
    pub(crate) checks: Wanted,
    /// A class that health must have named, or one of several with `|` between; `None`: it must
    /// have named none.
    pub(crate) class: Option<&'static str>,
}

/// What was seen.
pub(crate) struct Findings<'f> {
    pub(crate) group: &'static str,
    pub(crate) fault: &'static str,
    pub(crate) log: &'f [Operation],
    pub(crate) circumstances: &'f Circumstances,
    pub(crate) healthy: (Duration, Duration),
    pub(crate) faulty: (Duration, Duration),
    /// What each server's health said.
    pub(crate) seen: &'f [Seen],
    /// Each server's lines about it while it lasted.
    pub(crate) lines: &'f [Vec<String>],
    pub(crate) recovered_after: Duration,
    pub(crate) remark: String,
}

const WRITES: [Asked; 4] = [Asked::LogIn, Asked::LogOut, Asked::ChangePassword, Asked::Exchange];
const CHECKS: [Asked; 2] = [Asked::Check, Asked::Verify];

impl Findings<'_> {
    /// Prints the row, and one for each server beside; panics if a promise was broken.
    #[expect(clippy::print_stdout, reason = "`cargo xtask faults` reads the row there")]
    pub(crate) fn conclude(&self, expected: Expected, of_others: Expected) {
        let judgement = judge_under(self.log, self.circumstances);
        let mut all_broken = Vec::new();
        for node in 0..self.seen.len() {
            let mut broken = Vec::new();
            if node == 0 {
                self.judge_history(&judgement, &mut broken);
            }
            self.judge_node(node, if node == 0 { expected } else { of_others }, &mut broken);
            println!("FAULT {}", self.line(node, &judgement, &broken));
            all_broken.extend(broken.into_iter().map(|why| format!("node {node}: {why}")));
        }
        let all_broken = all_broken.join("\n");
        assert!(all_broken.is_empty(), "{}, {}:\n{all_broken}", self.group, self.fault);
    }

    fn judge_history(&self, judgement: &Judgement, broken: &mut Vec<String>) {
        for (kind, lines) in judgement.all() {
            if let Some(first) = lines.first() {
                broken.push(format!("{kind}: {} times, first {first}", lines.len()));
            }
        }
        if self.recovered_after > RECOVERY_MAX {
            broken.push(format!("well again only after {:?}", self.recovered_after));
        }
    }

    fn judge_node(&self, node: usize, expected: Expected, broken: &mut Vec<String>) {
        for (what, asked, wanted, ceiling) in [
            ("writes", &WRITES[..], expected.writes, WRITE_CEILING),
            ("checks", &CHECKS[..], expected.checks, CHECK_CEILING),
        ] {
            let summary = Summary::of(&self.log_of(node), asked, self.faulty);
            let why = complaints(&summary, wanted, ceiling);
            broken.extend(why.into_iter().map(|why| format!("{what}: {why}: {summary:?}")));
        }
        judge_health(&self.seen[node], expected, broken);
        let minutes = self.faulty.1.saturating_sub(self.faulty.0).as_secs() / 60 + 1;
        let lines = &self.lines[node];
        if lines.len() as u64 > minutes * LOG_LINES_MAX as u64 {
            broken.push(format!("{} log lines about it:\n{}", lines.len(), lines.join("\n")));
        }
    }

    fn log_of(&self, node: usize) -> Vec<Operation> {
        self.log.iter().filter(|operation| operation.node == node).cloned().collect()
    }

    fn line(&self, node: usize, judgement: &Judgement, broken: &[String]) -> Value {
        let (seen, log) = (&self.seen[node], self.log_of(node));
        let beside = if node == 0 { String::new() } else { format!("; node {node}") };
        let counts: BTreeMap<&str, usize> =
            judgement.all().into_iter().map(|(kind, lines)| (kind, lines.len())).collect();
        json!({
            "group": self.group,
            "fault": format!("{}{beside}", self.fault),
            "seconds": self.faulty.1.saturating_sub(self.faulty.0).as_secs_f64(),
            "writes": self.told(&log, &WRITES),
            "checks": self.told(&log, &CHECKS),
            "counts": counts,
            "health": { "words": seen.words, "classes": seen.classes },
            "health_slowest_ms": milliseconds(seen.slowest),
            "metrics_slowest_ms": milliseconds(seen.slowest_metrics),
            "log_lines": self.lines[node].len(),
            "recovered_after_s": self.recovered_after.as_secs_f64(),
            "remark": self.remark,
            "broken": broken,
        })
    }

    /// Statuses while it lasted, and how much longer they took than before.
    fn told(&self, log: &[Operation], asked: &[Asked]) -> Value {
        let healthy = Summary::of(log, asked, self.healthy);
        let faulty = Summary::of(log, asked, self.faulty);
        let statuses: BTreeMap<String, usize> =
            faulty.statuses.iter().map(|(status, count)| (status.to_string(), *count)).collect();
        json!({
            "statuses": statuses,
            "healthy_p99_ms": milliseconds(healthy.p99),
            "p50_ms": milliseconds(faulty.p50),
            "p99_ms": milliseconds(faulty.p99),
            "max_ms": milliseconds(faulty.max),
        })
    }
}

fn judge_health(seen: &Seen, expected: Expected, broken: &mut Vec<String>) {
    let mut complain = |why: &str| broken.push(format!("health: {why}: {seen:?}"));
    match expected.class {
        Some(wanted) if !wanted.split('|').any(|class| seen.classes.contains(class)) => {
            complain("it named another class");
        }
        None if seen.classes.iter().any(|class| is_fault(class)) => {
            complain("it named a class");
        }
        _ => {}
    }
    let is_silent = expected.checks == Wanted::Silence;
    if !is_silent && seen.slowest.max(seen.slowest_metrics) > HEALTH_CEILING {
        complain("too slow");
    }
    let only = |path, wanted| {
        seen.statuses.get(path).is_some_and(|all| all.iter().all(|status| *status == wanted))
    };
    if !is_silent && !only("/health/live", 200) {
        complain("live is not 200");
    }
    if expected.checks == Wanted::Served && !only("/health/ready", 200) {
        complain("ready is not 200 though checks are served");
    }
    if expected.checks == Wanted::Served && seen.words.contains("unhealthy") {
        complain("it said unhealthy though checks are served");
    }
}

/// Whether a class says that something is wrong. `slow` may be this machine, busy with other tests;
/// a full run has it to itself.
fn is_fault(class: &str) -> bool {
    class != "none" && (is_full() || class != "slow")
}

/// What is wrong with the answers to one kind of request.
fn complaints(summary: &Summary, wanted: Wanted, ceiling: Duration) -> Vec<&'static str> {
    let mut complaints = Vec::new();
    let refused = summary.told(503);
    match wanted {
        Wanted::Served if refused > 0 => complaints.push("some were refused"),
        Wanted::Refused if refused == 0 => complaints.push("none was refused"),
        Wanted::Served | Wanted::Either if summary.told(200) == 0 => {
            complaints.push("none was served");
        }
        Wanted::Served | Wanted::Refused | Wanted::Either | Wanted::Silence => {}
    }
    if wanted != Wanted::Silence && summary.max > ceiling {
        complaints.push("too slow");
    }
    complaints
}

fn milliseconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 10_000.0).round() / 10.0
}
