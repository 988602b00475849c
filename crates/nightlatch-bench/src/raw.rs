//! A computation of the server with nothing around it: how often it could be done here at most.
//!
//! In a process of its own, on the core that the server is measured on.

use std::io::{BufReader, Write, stdin};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use crate::child::{Process, read_line};
use crate::cores::Cores;

/// How often the clock is looked at, where one time takes less than looking.
const BATCH: u32 = 8;

/// A process that computes when it is told to.
pub(crate) struct Raw {
    pub(crate) process: Process,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What one turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) done: u32,
    pub(crate) took: Duration,
}

impl Raw {
    /// Starts this program with the argument that makes it compute something.
    pub(crate) fn spawn(cores: Cores, argument: &str) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut process = Process::spawn(cores, &program, |command| {
            command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped());
        })?;
        Ok(Self { asks: process.take_stdin(), answers: process.take_stdout(), process })
    }

    /// Computes for `span`. Nothing else goes on meanwhile.
    pub(crate) fn turn(&mut self, span: Duration) -> anyhow::Result<Turn> {
        writeln!(self.asks, "{}", span.as_millis()).context("asking for a turn")?;
        let answer = read_line(&mut self.answers)?;
        Turn::parse(&answer).with_context(|| format!("no turn: {answer:?}"))
    }
}

impl Turn {
    /// How often a second.
    pub(crate) fn rate(self) -> f64 {
        f64::from(self.done) / self.took.as_secs_f64()
    }

    fn parse(line: &str) -> Option<Self> {
        let (done, micros) = line.split_once(' ')?;
        let took = Duration::from_micros(micros.parse().ok()?);
        Some(Self { done: done.parse().ok()?, took })
    }
}

/// Computes for as many milliseconds as each line on standard input says; answers each with how often
/// it was, and the microseconds that it took.
pub(crate) fn answer_turns(mut once: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    for line in stdin().lines() {
        let span = Duration::from_millis(line?.parse().context("a number of milliseconds")?);
        let (began, mut done) = (Instant::now(), 0_u32);
        while began.elapsed() < span {
            for _ in 0..BATCH {
                once()?;
            }
            done += BATCH;
        }
        crate::say(&format!("{done} {}", began.elapsed().as_micros()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_a_count_and_its_microseconds() {
        let turn = Turn::parse("30 500000").unwrap();
        assert_eq!(turn, Turn { done: 30, took: Duration::from_millis(500) });
        assert!((turn.rate() - 60.0).abs() < 1e-9);
        assert_eq!(Turn::parse("30"), None);
    }
}
