//! `nightlatch-bench`: measures a built server. Started by `cargo xtask bench`.
//!
//! A crate of its own, because what it compares with needs the server's library, and the other
//! tasks of the workspace must not wait for that to be built.

mod accelerated;
mod allocations;
mod audited;
mod bare;
mod beside;
mod child;
mod conditions;
mod connection;
mod cores;
mod counting;
mod document;
mod forward_auth;
mod idle_sockets;
mod latency;
mod load;
mod logins;
mod memory;
mod people;
mod plan;
mod postgres;
mod ran;
mod raw;
mod raw_hash;
mod raw_verify;
mod redis;
mod report;
mod scale;
mod server;
mod session_checks;
mod start;
mod stored_sessions;
mod storm;
mod tokens;
mod traced;
mod two_nodes;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::plan::Plan;

/// What the program was asked to do.
enum Asked {
    Measure(Box<Order>),
    /// To be the bare handler that the server is compared with.
    Bare,
    /// To be the bare hashing that logins are compared with.
    RawHash,
    /// To be the bare verification that access tokens are compared with.
    RawVerify,
}

/// What is measured.
#[derive(Clone, Copy)]
enum Part {
    All,
    /// What applications use beside the API.
    FittedIn,
    /// What the audit log and traces cost.
    Telling,
    /// How everything grows.
    Scale,
}

impl Part {
    /// What its markers in a document are called.
    const fn markers(self) -> &'static str {
        match self {
            Self::All => "results",
            Self::FittedIn => "fitted-in",
            Self::Telling => "telling",
            Self::Scale => "scale",
        }
    }
}

/// A measurement that was asked for.
struct Order {
    server: PathBuf,
    /// Another program of this kind, to compare with.
    beside: Option<PathBuf>,
    commit: String,
    plan: Plan,
    part: Part,
    document: Option<PathBuf>,
}

const USAGE: &str = "nightlatch-bench --server PROGRAM --commit NAME [--beside PROGRAM] [--quick] [--fitted-in | --telling | --scale] [--write DOCUMENT]";

fn main() -> ExitCode {
    let done = match asked(std::env::args().skip(1)) {
        Ok(Asked::Measure(order)) => measure(&order),
        Ok(Asked::Bare) => bare::run(),
        Ok(Asked::RawHash) => raw_hash::run(),
        Ok(Asked::RawVerify) => raw_verify::run(),
        Err(error) => {
            say(&format!("{error:#}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn asked(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Asked> {
    let (mut server, mut beside, mut commit, mut document) = (None, None, None, None);
    let (mut plan, mut part) = (Plan::full(), Part::All);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| anyhow::anyhow!("{argument} of what?"));
        match argument.as_str() {
            bare::ARGUMENT => return Ok(Asked::Bare),
            raw_hash::ARGUMENT => return Ok(Asked::RawHash),
            raw_verify::ARGUMENT => return Ok(Asked::RawVerify),
            "--fitted-in" => part = Part::FittedIn,
            "--telling" => part = Part::Telling,
            "--scale" => part = Part::Scale,
            "--quick" => plan = Plan::quick(),
            "--server" => server = Some(PathBuf::from(value()?)),
            "--beside" => beside = Some(PathBuf::from(value()?)),
            "--commit" => commit = Some(value()?),
            "--write" => document = Some(PathBuf::from(value()?)),
            unknown => anyhow::bail!("there is no argument `{unknown}`"),
        }
    }
    let server = server.ok_or_else(|| anyhow::anyhow!("--server is missing"))?;
    let commit = commit.ok_or_else(|| anyhow::anyhow!("--commit is missing"))?;
    Ok(Asked::Measure(Box::new(Order { server, beside, commit, plan, part, document })))
}

/// Measures everything, says it, and writes it down where that was asked for. A number that misses
/// its aim is a result, not a failure.
fn measure(order: &Order) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let Order { server, beside, commit, plan, .. } = order;
    let report = runtime.block_on(async {
        match order.part {
            Part::All => report::measure((server, beside.as_deref()), commit, plan).await,
            Part::FittedIn => report::measure_fitted_in(server, commit, plan).await,
            Part::Telling => report::measure_telling(server, commit, plan).await,
            Part::Scale => scale::measure(server, commit, plan).await,
        }
    })?;
    say(&report);
    if let Some(path) = &order.document {
        document::write(path, order.part.markers(), &report)?;
        say(&format!("written to {}", path.display()));
    }
    Ok(())
}

/// Tells the person at the terminal.
#[expect(clippy::print_stdout, reason = "a program for the terminal it was started from")]
fn say(words: &str) {
    println!("{}", words.trim_end());
}
