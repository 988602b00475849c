//! A process that is measured: on its core, watched through `/proc`, never left behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

use crate::cores::Cores;
use crate::ran::Ran;

/// A running process, killed when this is dropped.
pub(crate) struct Process(Child);

/// What of a process's memory is in the machine's, in kB of 1024 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resident {
    /// All of it: `VmRSS`.
    pub(crate) all: u64,
    /// Without the pages of files, such as the program's own.
    pub(crate) anonymous: u64,
}

impl Resident {
    pub(crate) const fn anonymous_bytes(&self) -> u64 {
        self.anonymous * 1024
    }
}

impl Process {
    /// Starts `program` on the measured core. The kernel kills it when this process dies.
    pub(crate) fn spawn(
        cores: Cores,
        program: &Path,
        prepare: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Self> {
        let mut command = command(program);
        prepare(&mut command);
        let started = cores.on_measured(|| command.spawn())?;
        let name = program.display();
        Ok(Self(started.with_context(|| format!("starting {name} by setpriv (util-linux)"))?))
    }

    /// Starts what is not measured, beside the load generator.
    pub(crate) fn beside(
        program: &Path,
        prepare: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Self> {
        let mut command = command(program);
        prepare(&mut command);
        let name = program.display();
        let started = command.spawn();
        Ok(Self(started.with_context(|| format!("starting {name} by setpriv (util-linux)"))?))
    }

    pub(crate) fn take_stderr(&mut self) -> ChildStderr {
        self.0.stderr.take().expect("it was piped")
    }

    pub(crate) fn take_stdin(&mut self) -> ChildStdin {
        self.0.stdin.take().expect("it was piped")
    }

    pub(crate) fn take_stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().expect("it was piped"))
    }

    /// The time that it and its children have had on their core.
    pub(crate) fn core_time(&self) -> anyhow::Result<Duration> {
        let pid = self.0.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let ticks: anyhow::Result<u64> = std::iter::once(pid.to_string().as_str())
            .chain(children.split_whitespace())
            .map(ticks_of)
            .sum();
        let in_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_millis(ticks? * 1000 / in_second.max(1)))
    }

    /// What its threads, and those of its children, have had of the cores, to the nanosecond. Those of
    /// threads that have ended are not among it.
    pub(crate) fn ran(&self) -> anyhow::Result<Ran> {
        let pid = self.0.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let mut ran = Ran::of_threads(&pid.to_string())?;
        for child in children.split_whitespace() {
            // One that has just ended has nothing more to tell.
            ran += Ran::of_threads(child).unwrap_or_default();
        }
        Ok(ran)
    }

    pub(crate) fn resident(&self) -> anyhow::Result<Resident> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        resident(&status).context("no resident memory in /proc/PID/status")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.0);
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        self.0.wait().context("waiting for the end of a server")?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that the kernel kills when this process dies.
fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    // No setting of this machine may change what is measured.
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// One line that a process was asked for.
pub(crate) fn read_line(from: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    let read = from.read_line(&mut line).context("listening to a process of the benchmark")?;
    anyhow::ensure!(read > 0, "a process of the benchmark ended before it had answered");
    Ok(line.trim().to_owned())
}

fn ticks_of(pid: &str) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    core_ticks(&stat).with_context(|| format!("no times in {stat:?}"))
}

/// User and system time of `/proc/PID/stat`: "pid (name) state ..", where the name may hold
/// anything, so that fields are counted from behind it.
fn core_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident(status: &str) -> Option<Resident> {
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Resident { all: kilobytes("VmRSS")?, anonymous: kilobytes("RssAnon")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_as_the_kernel_writes_it() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 5 0 100 0 0";
        assert_eq!(core_ticks(stat), Some(300));
        assert_eq!(core_ticks("7 (a"), None);
        let status = "Name:\tx\nVmRSS:\t    1200 kB\nRssAnon:\t     800 kB\nRssFile:\t 400 kB\n";
        assert_eq!(resident(status), Some(Resident { all: 1200, anonymous: 800 }));
        assert_eq!(resident("Name:\tx\n"), None);
    }
}
