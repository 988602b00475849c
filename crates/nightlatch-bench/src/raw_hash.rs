//! Raw argon2id: how often a password could be verified here at most, with nothing around it.
//!
//! The same crate, the same parameters and memory that is reused, in a process of its own on the
//! core that the server is measured on.

use std::hint::black_box;
use std::io::{BufReader, Write, stdin};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::Context;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::time::Instant;

use crate::child::{Process, read_line};
use crate::cores::Cores;

/// What makes this program hash.
pub(crate) const ARGUMENT: &str = "be-raw-hash";

/// The parameters of new hashes in the server.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const TAG_BYTES: usize = 32;

/// A process that verifies passwords when it is told to.
pub(crate) struct RawHash {
    pub(crate) process: Process,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What one turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) verified: u32,
    pub(crate) took: Duration,
}

impl RawHash {
    pub(crate) fn spawn(cores: Cores) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut process = Process::spawn(cores, &program, |command| {
            command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped());
        })?;
        Ok(Self { asks: process.take_stdin(), answers: process.take_stdout(), process })
    }

    /// Verifies for `span`. Nothing else goes on meanwhile.
    pub(crate) fn verify(&mut self, span: Duration) -> anyhow::Result<Turn> {
        writeln!(self.asks, "{}", span.as_millis()).context("asking for hashes")?;
        let answer = read_line(&mut self.answers)?;
        Turn::parse(&answer).with_context(|| format!("no turn of hashing: {answer:?}"))
    }
}

impl Turn {
    /// Verifications a second.
    pub(crate) fn rate(self) -> f64 {
        f64::from(self.verified) / self.took.as_secs_f64()
    }

    fn parse(line: &str) -> Option<Self> {
        let (verified, micros) = line.split_once(' ')?;
        let took = Duration::from_micros(micros.parse().ok()?);
        Some(Self { verified: verified.parse().ok()?, took })
    }
}

/// Verifies for as many milliseconds as each line on standard input says; answers each with how
/// many it were, and the microseconds that it took.
pub(crate) fn run() -> anyhow::Result<()> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(TAG_BYTES))
        .map_err(|error| anyhow::anyhow!("the parameters: {error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut memory = vec![Block::new(); argon2.params().block_count()];
    let mut tag = |password: &[u8]| -> anyhow::Result<[u8; TAG_BYTES]> {
        let mut tag = [0; TAG_BYTES];
        argon2
            .hash_password_into_with_memory(password, b"sixteen bytes of", &mut tag, &mut memory)
            .map_err(|error| anyhow::anyhow!("hashing: {error}"))?;
        Ok(tag)
    };
    let stored = tag(b"nine slow herons")?;
    for line in stdin().lines() {
        let span = Duration::from_millis(line?.parse().context("a number of milliseconds")?);
        let (began, mut verified) = (Instant::now(), 0_u32);
        while began.elapsed() < span {
            let found = tag(black_box(b"nine slow herons"))?;
            anyhow::ensure!(found == stored, "hashing the same twice gives two tags");
            verified += 1;
        }
        crate::say(&format!("{verified} {}", began.elapsed().as_micros()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_a_count_and_its_microseconds() {
        let turn = Turn::parse("30 500000").unwrap();
        assert_eq!(turn, Turn { verified: 30, took: Duration::from_millis(500) });
        assert!((turn.rate() - 60.0).abs() < 1e-9);
        assert_eq!(Turn::parse("30"), None);
    }
}
