//! `cargo xtask faults`: runs every fault and writes down what people saw.
//!
//! The rows are tests of the server (`crates/nightlatch/tests/it/outage/`), so that no promise is
//! shown by one program and checked by another. Here they run one at a time and as long as they are
//! told, and milliseconds are judged, which a machine that runs other tests cannot do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use serde_json::Value;

use crate::tidy::root;
use crate::{Task, say};

pub(crate) const TASK: Task = Task {
    name: "faults",
    about: "run every fault, or those of a module of tests, for docs/faults.md",
    run,
};

const DOCUMENT: &str = "docs/faults.md";

/// What a row's line begins with. The test harness may have written before it.
const MARK: &str = "FAULT {";

/// The sections of the document, in the order of the table of faults.
const GROUPS: [&str; 12] = [
    "Redis, network",
    "Redis, answers",
    "Redis, data",
    "Redis, TLS and DNS",
    "Sentinel, Cluster",
    "PostgreSQL, short or healable",
    "PostgreSQL, gone",
    "SQLite",
    "Upstream auth service",
    "Own process",
    "Clock",
    "Several nodes",
];

/// Within which live and ready answer, whatever is wrong, and within which metrics do.
const HEALTH_MS_MAX: f64 = 50.0;
const METRICS_MS_MAX: f64 = 100.0;

const INTRODUCTION: &str = "# Faults, and what people see

Written by `cargo xtask faults`; each row is a test in `crates/nightlatch/tests/it/outage/`, which
`./test` runs too, with shorter spans. While a fault lasts people log in, log out, change their
password and ask who they are; in rows run since 2026-11-28 programs exchange tokens beside them (told
among the logins) and have them verified (among the checks). The judge is their own log of requests
and answers, and after the fault every session is asked about once more.

A row holds if no session was lost and none accepted after its end had been acknowledged (both
judged by what the client was told; at once on the node that acknowledged it, on others that reach
the record for requests that began over 2 s later), if nobody was told 500, and 401 only where that is known, if
503 said when to come back and left the cookie alone, if live and ready answered within 50 ms and
health named the class, if the log had at most 6 lines a minute about it, and if all was well within
5 s of its end, without a restart. Among the statuses of session checks, 401 is said of those that
were logged out before; 0 is a connection that ended without an answer.
\"Added\": the 99th percentile while the fault lasted, minus the one before it.
";

const LIMITS: &str = "
## What these rows do not show

- **A disk that turns read-only under a running server.** Linux refuses to remount a disk with files
  open for writing; what a failing disk does instead is in the rows on I/O errors. The read-only rows
  begin with a start.
- **Failing hardware.** The errors of the I/O rows are put in place of a system call's result by
  `strace --inject`; everything above that is real. A failed sync is told as unknown, never as done.
- **Networks and answers that cannot be had.** What a proxy in front of PostgreSQL forges: refusing,
  resetting, silent and late connections, garbage, and an answer that is lost after the commit.
  Serialization failures and deadlocks are raised by a trigger. Restarts, failovers, limits, locks and
  refusals are PostgreSQL's own.
- **Suspended machines.** Clocks are moved by libfaketime, for one process. For a suspended machine
  all its clocks jump; on a real one those that do not count suspend stand still.
- **A real older release.** There is none yet. The rows on a newer schema and a newer release show what
  this one does beside one that is newer, by what that would leave in the record.
- **Damage that SQLite cannot see.** A page of rubbish is noticed. A byte changed inside a key is
  not: SQLite keeps no checksums, so such a session is not found, as if it had never been.
- **Power loss on real disks.** The row takes what had been written to the disk at the kill, and
  drops all that the kernel held back. A disk that lies about its cache loses more.
";

fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let (tests, were) = match arguments {
        [] => ("outage::", String::new()),
        [tests] if tests.starts_with("outage::") => {
            let path = root().join(DOCUMENT);
            let were = fs::read_to_string(path).with_context(|| format!("reading {DOCUMENT}"))?;
            (tests.as_str(), were)
        }
        _ => anyhow::bail!("takes nothing, or a module of tests such as `outage::redis::network`"),
    };
    let (lines, passed) = lines_of_rows(tests)?;
    let mut rows = Vec::new();
    for line in &lines {
        rows.push(serde_json::from_str::<Value>(line).with_context(|| format!("reading {line}"))?);
    }
    anyhow::ensure!(!rows.is_empty(), "no row has printed a line; is the machine root's?");
    fs::write(root().join(DOCUMENT), document(&rows, &were)?)
        .with_context(|| format!("writing {DOCUMENT}"))?;
    let broken = rows.iter().filter(|row| !broken(row).is_empty()).count();
    say(&format!("wrote {DOCUMENT}: {} rows, {broken} of them broken", rows.len()));
    if !passed {
        say("some tests have failed; a row that did not end has no line");
    }
    Ok(if passed && broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The lines that the rows have printed, and whether all tests have passed.
fn lines_of_rows(tests: &str) -> anyhow::Result<(Vec<String>, bool)> {
    let output = Command::new("cargo")
        .args(["test", "--workspace", "--all-features", "--test", "it", "--"])
        .args([tests, "--nocapture", "--test-threads=1"])
        .env("NIGHTLATCH_FAULTS", "full")
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter_map(|line| {
        let at = line.find(MARK)?;
        Some(line[at + MARK.len() - 1..].to_owned())
    });
    Ok((lines.collect(), output.status.success()))
}

/// The document with these rows. What else `were` in it stays, where there is no such row now.
fn document(rows: &[Value], were: &str) -> anyhow::Result<String> {
    let mut document = INTRODUCTION.to_owned();
    let run_on = conditions()?;
    for group in GROUPS {
        let new: Vec<&Value> = rows.iter().filter(|row| row["group"] == group).collect();
        let old = section(were, group);
        writeln!(document, "\n## {group}\n")?;
        let conditions = if new.is_empty() { old.conditions } else { run_on.as_str() };
        writeln!(
            document,
            "{conditions}\n\n\
             | fault | lasted | logins, logouts, passwords | session checks | health | log lines | \
             well after | lost | undone | verdict |\n|---|---|---|---|---|---|---|---|---|---|"
        )?;
        for line in old.lines.iter().filter(|line| !new.iter().any(|row| is_of(line, row))) {
            writeln!(document, "{line}")?;
        }
        for row in new {
            writeln!(document, "{}", table_line(row))?;
        }
    }
    document.push_str(LIMITS);
    Ok(document)
}

/// What stands in a document about a group.
#[derive(Default)]
struct Section<'d> {
    /// What its rows were run on, the last time.
    conditions: &'d str,
    /// The lines of its table.
    lines: Vec<&'d str>,
}

fn section<'d>(document: &'d str, group: &str) -> Section<'d> {
    let mut section = Section::default();
    let behind = document.split_once(&format!("## {group}\n")).map_or("", |(_, behind)| behind);
    for line in behind.lines().take_while(|line| !line.starts_with("## ")) {
        if line.starts_with("| ") && !line.starts_with("| fault |") {
            section.lines.push(line);
        } else if !line.is_empty() && !line.starts_with('|') {
            section.conditions = line;
        }
    }
    section
}

/// Whether a line of a table is about the fault of this row.
fn is_of(line: &str, row: &Value) -> bool {
    let fault = text(&row["fault"]);
    line.strip_prefix("| ")
        .and_then(|line| line.strip_prefix(fault.as_str()))
        .is_some_and(|rest| rest.starts_with(": ") || rest.starts_with(" |"))
}

fn table_line(row: &Value) -> String {
    let fault = text(&row["fault"]);
    let remark = text(&row["remark"]);
    let fault = if remark.is_empty() { fault } else { format!("{fault}: {remark}") };
    let broken = broken(row);
    let verdict = if broken.is_empty() { "holds".to_owned() } else { broken.join("; ") };
    if row["writes"].is_null() {
        return format!("| {fault} | | | | | | | | | {verdict} |");
    }
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    let health = list(&row["health"]["classes"]);
    format!(
        "| {fault} | {:.1} s | {} | {} | {health}; live and ready {:.0} ms at most | {} | {:.1} s | {} | {} | {verdict} |",
        number(&row["seconds"]),
        answers(&row["writes"]),
        answers(&row["checks"]),
        number(&row["health_slowest_ms"]),
        row["log_lines"],
        number(&row["recovered_after_s"]),
        row["counts"]["lost"],
        row["counts"]["revoked_accepted"],
    )
}

/// Statuses, and how much longer they took than before.
fn answers(told: &Value) -> String {
    let statuses: Vec<String> = told["statuses"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(status, count)| format!("{status} × {count}"))
        .collect();
    let at = |name: &str| told[name].as_f64().unwrap_or_default();
    let added = (at("p99_ms") - at("healthy_p99_ms")).max(0.0);
    format!(
        "{}; added {added:.0} ms to {:.0} ms, longest {:.0} ms",
        statuses.join(", "),
        at("healthy_p99_ms"),
        at("max_ms")
    )
}

/// What the test found broken, and what only an idle machine can tell.
fn broken(row: &Value) -> Vec<String> {
    let mut broken: Vec<String> =
        row["broken"].as_array().into_iter().flatten().map(gist).collect();
    let slowest = row["health_slowest_ms"].as_f64().unwrap_or_default();
    // Whoever was stopped answers nothing.
    if slowest > HEALTH_MS_MAX && !text(&row["fault"]).starts_with("SIGSTOP") {
        broken.push(format!("live or ready took {slowest:.0} ms"));
    }
    let slowest = row["metrics_slowest_ms"].as_f64().unwrap_or_default();
    if slowest > METRICS_MS_MAX && !text(&row["fault"]).starts_with("SIGSTOP") {
        broken.push(format!("metrics took {slowest:.0} ms"));
    }
    broken
}

fn list(values: &Value) -> String {
    let words: Vec<String> = values.as_array().into_iter().flatten().map(text).collect();
    words.join(", ")
}

/// What is broken, without what it was read from: that stands in the output of the test.
fn gist(value: &Value) -> String {
    let text = text(value);
    let end = [": Summary", ": Seen", ", first "].iter().filter_map(|mark| text.find(mark)).min();
    text[..end.unwrap_or(text.len())].to_owned()
}

/// A text as a cell of a table.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('|', "\\|").replace('\n', " ")
}

/// What the rows were run on.
fn conditions() -> anyhow::Result<String> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("reading {path}"));
    let date = Command::new("date").args(["-u", "+%F"]).output().context("starting date")?;
    let memory: BTreeMap<String, String> = read("/proc/meminfo")?
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let cores = std::thread::available_parallelism().context("counting cores")?;
    let total = memory.get("MemTotal").cloned().unwrap_or_default();
    let load = read("/proc/loadavg")?;
    Ok(format!(
        "Run on {}: Linux {}, {cores} cores, {total} of memory, profile `dev` (dependencies \
         optimised), one row at a time; load averages at the end {}.",
        String::from_utf8_lossy(&date.stdout).trim(),
        read("/proc/sys/kernel/osrelease")?.trim(),
        load.split_whitespace().take(3).collect::<Vec<_>>().join(", "),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Value {
        let told = json!({
            "statuses": { "200": 3, "503": 4 },
            "healthy_p99_ms": 10.0, "p99_ms": 14.0, "max_ms": 20.0,
        });
        json!({
            "group": "SQLite", "fault": "disk full", "seconds": 1.25, "remark": "",
            "writes": told, "checks": told,
            "counts": { "lost": 0, "revoked_accepted": 0 },
            "health": { "classes": ["disk_full", "none"] }, "health_slowest_ms": 3.0,
            "log_lines": 1, "recovered_after_s": 0.5, "broken": [],
        })
    }

    #[test]
    fn a_row_tells_what_was_seen() {
        assert_eq!(
            table_line(&row()),
            "| disk full | 1.2 s | 200 × 3, 503 × 4; added 4 ms to 10 ms, longest 20 ms \
             | 200 × 3, 503 × 4; added 4 ms to 10 ms, longest 20 ms \
             | disk_full, none; live and ready 3 ms at most | 1 | 0.5 s | 0 | 0 | holds |"
        );
    }

    #[test]
    fn rows_that_were_not_run_again_stay_as_they_were() {
        let (mut other, mut clock) = (row(), row());
        other["fault"] = json!("disk full; node 1");
        clock["group"] = json!("Clock");
        let before = document(&[row(), other, clock], "").expect("it can be written");
        let mut again = row();
        again["seconds"] = json!(9.0);
        let after = document(&[again.clone()], &before).expect("it can be written");
        let lines = |document: &str, group: &str| {
            section(document, group).lines.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(lines(&after, "Clock"), lines(&before, "Clock"));
        assert!(section(&after, "Clock").conditions.contains("one row at a time"));
        let [node, new] = &lines(&after, "SQLite")[..] else { panic!("two rows: {after}") };
        assert!(node.starts_with("| disk full; node 1 | 1.2 s |"), "{node}");
        assert_eq!(*new, table_line(&again));
    }

    #[test]
    fn a_slow_health_check_breaks_a_row_unless_the_process_was_stopped() {
        let mut slow = row();
        slow["health_slowest_ms"] = json!(51.0);
        assert_eq!(broken(&slow), ["live or ready took 51 ms"]);
        slow["fault"] = json!("SIGSTOP for 60 s, and on again");
        assert!(broken(&slow).is_empty());
        slow["broken"] = json!(["lost: 1 times, first Operation { .. }"]);
        assert_eq!(broken(&slow), ["lost: 1 times"]);
    }
}
