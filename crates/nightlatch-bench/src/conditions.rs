//! Under which conditions something was measured: without them a number says nothing.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use nightlatch_core::{Clock, SystemClock};
use tokio::time::sleep;

use crate::cores::Cores;

/// How long the machine is watched before anything begins.
const WATCH: Duration = Duration::from_secs(1);

/// The conditions in a sentence or two.
pub(crate) async fn describe(commit: &str, cores: Cores) -> anyhow::Result<String> {
    let others = busy_with_others().await?;
    let cpu = fs::read_to_string("/proc/cpuinfo").context("asking for the processor")?;
    let kernel =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("asking for the kernel")?;
    let date = SystemClock.wall().to_rfc3339();
    Ok(format!(
        "Measured {} on commit {commit}: {} ({} cores), Linux {}; server pinned to core {}, load \
         generator to core {}; loopback, keep-alive; SQLite in a temporary directory. Other \
         processes used {others} % of the machine before the run.",
        date.split('T').next().unwrap_or_default(),
        model(&cpu),
        cpu.lines().filter(|line| line.starts_with("processor")).count(),
        kernel.trim(),
        cores.measured,
        cores.load,
    ))
}

fn model(cpuinfo: &str) -> &str {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or("an unknown processor", |line| line.trim_start_matches(['\t', ' ', ':']))
}

/// What the machine does while we do nothing, in percent of all cores.
async fn busy_with_others() -> anyhow::Result<u64> {
    let read = || -> anyhow::Result<Ticks> {
        let stat = fs::read_to_string("/proc/stat").context("asking how busy the machine is")?;
        Ticks::parse(&stat).context("no line `cpu` in /proc/stat")
    };
    let before = read()?;
    sleep(WATCH).await;
    let after = read()?;
    let (all, idle) = (after.all - before.all, after.idle - before.idle);
    Ok((all.saturating_sub(idle)) * 100 / all.max(1))
}

/// Time of all cores since boot.
#[derive(Debug, PartialEq, Eq)]
struct Ticks {
    all: u64,
    /// Waiting for work or for a disk.
    idle: u64,
}

impl Ticks {
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        // user nice system idle iowait irq softirq steal; guests are in user already.
        let fields: Vec<u64> =
            line.split_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
        Some(Self { all: fields.iter().sum(), idle: fields.get(3)? + fields.get(4)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        assert_eq!(model("processor\t: 0\nmodel name\t: AMD EPYC 9B14\n"), "AMD EPYC 9B14");
        assert_eq!(model(""), "an unknown processor");
        let ticks = Ticks::parse("cpu  10 1 5 80 4 0 0 0 7 0\ncpu0 1 2 3\n");
        assert_eq!(ticks, Some(Ticks { all: 100, idle: 84 }));
    }
}
