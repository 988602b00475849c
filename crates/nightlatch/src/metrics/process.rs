//! The process, as the system counts it, under the names that all programs use for that:
//! <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::encode::{gauges, measures};

/// Read anew for every answer. What cannot be read, for want of a descriptor perhaps, is left out.
#[derive(Debug)]
pub(super) struct Process;

/// What `/proc/self/stat` tells, in ticks of the system's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    worked: u64,
    started: u64,
    resident_pages: u64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(parse) {
            encode_stat(stat, &mut encoder)?;
        }
        if let Some(open) = open_files() {
            let help = "Files and connections that are open";
            gauges(&mut encoder, "process_open_fds", help, [([], open)])?;
        }
        let most = getrlimit(Resource::Nofile).current;
        let help = "The most of them that may be open";
        gauges(&mut encoder, "process_max_fds", help, most.map(|most| ([], most)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a double holds these, exact or nearly so")]
fn encode_stat(stat: Stat, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second().max(1) as f64;
    let unit = Some(&Unit::Seconds);
    let help = "Time that cores worked for it, in it and in the system";
    let mut family = encoder.encode_descriptor("process_cpu", help, unit, MetricType::Counter)?;
    family.encode_counter::<NoLabelSet, _, f64>(&seconds(stat.worked), None)?;
    let bytes = stat.resident_pages.saturating_mul(page_size() as u64);
    let name = ("process_resident_memory", Some(&Unit::Bytes));
    measures(encoder, name, "Memory that it takes", [([], bytes)])?;
    let booted = fs::read_to_string("/proc/stat").ok().as_deref().and_then(boot_time);
    let started = booted.map(|booted| ([], booted as f64 + seconds(stat.started)));
    measures(encoder, ("process_start_time", unit), "When it began, since 1970", started)
}

/// The program's name stands in brackets and may hold anything; behind it fields are split by blanks. See
/// `proc_pid_stat(5)`: utime is the 14th, stime the 15th, starttime the 22nd, rss the 24th.
fn parse(stat: &str) -> Option<Stat> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        worked: field(14)?.checked_add(field(15)?)?,
        started: field(22)?,
        resident_pages: field(24)?,
    })
}

fn boot_time(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Since Linux 6.2 the folder says how many there are; before, they are counted one by one.
fn open_files() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).ok()?.len() {
        // Counting opens one more.
        0 => u64::try_from(fs::read_dir(FOLDER).ok()?.count().saturating_sub(1)).ok(),
        open => Some(open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_moves_no_field() {
        let stat =
            "7 (a) b (c) R 1 7 7 0 -1 4194560 90 0 0 0 12 30 0 0 20 0 5 0 4200 1000000 345 18";
        let expected = Stat { worked: 42, started: 4200, resident_pages: 345 };
        assert_eq!(parse(stat), Some(expected));
        assert_eq!(parse("7 (a) R 1"), None);
    }

    #[test]
    fn the_boot_time_is_found_among_the_rest() {
        assert_eq!(boot_time("cpu 1 2 3\nbtime 1700000000\nprocesses 4\n"), Some(1_700_000_000));
        assert_eq!(boot_time(""), None);
    }

    #[test]
    fn this_process_has_open_files() {
        assert!(open_files().is_some_and(|open| open >= 3));
    }
}
