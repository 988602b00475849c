//! Simulates seeds and says which promise was broken by which.
//!
//! ```sh
//! cargo run -p nightlatch-sim -- --seed 7 --steps 1000
//! cargo run -p nightlatch-sim -- --seeds 0..10000 --tokens
//! ```

use std::process::{Command, ExitCode};

use nightlatch_sim::mutant::{MUTANTS, TOKEN_MUTANTS};
use nightlatch_sim::{Run, Subject};

/// Steps of a run, if nobody says how many.
const STEPS: usize = 1000;

/// A seed that broke a promise.
const BROKEN: u8 = 1;

/// Wrong usage, as for every program of this project.
const USAGE: u8 = 2;

struct Wanted {
    seeds: std::ops::Range<u64>,
    steps: usize,
    subject: Subject,
    with_tokens: bool,
}

fn main() -> ExitCode {
    match wanted(std::env::args().skip(1)) {
        Ok(wanted) => simulate(&wanted),
        Err(problem) => {
            say(&format!("{problem}\n\n{}", usage()));
            ExitCode::from(USAGE)
        }
    }
}

fn simulate(wanted: &Wanted) -> ExitCode {
    let Wanted { seeds, steps, subject, with_tokens } = wanted;
    let mut operations = 0;
    let mut failed = 0;
    for seed in seeds.clone() {
        let report =
            Run { seed, with_tokens: *with_tokens, steps: *steps, subject: *subject }.report();
        operations += report.operations();
        if !report.violations().is_empty() {
            failed += 1;
            let command = command(seed, wanted);
            say(&format!("seed {seed} at commit {}: {command}", commit()));
            // The story of one seed is long; of many only the first lines help.
            if seeds.end - seeds.start == 1 {
                say(&report.to_string());
            } else if let Some(first) = report.violations().first() {
                say(&format!("  {first}"));
            }
        }
    }
    say(&format!("{operations} operations, {failed} seeds broke a promise"));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) }
}

fn command(seed: u64, wanted: &Wanted) -> String {
    let mutant = match wanted.subject {
        Subject::Shipped | Subject::Copied(None) => String::new(),
        Subject::Copied(Some(rule)) => format!(" --mutant {rule}"),
    };
    let tokens = if wanted.with_tokens { " --tokens" } else { "" };
    format!("cargo run -p nightlatch-sim -- --seed {seed} --steps {}{tokens}{mutant}", wanted.steps)
}

fn commit() -> String {
    let asked = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    match asked {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted =
        Wanted { seeds: 0..100, steps: STEPS, subject: Subject::Shipped, with_tokens: false };
    while let Some(name) = arguments.next() {
        if name == "--tokens" {
            wanted.with_tokens = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--seed" => {
                let seed = number(&value)?;
                wanted.seeds = seed..seed + 1;
            }
            "--seeds" => {
                let (first, end) = value.split_once("..").ok_or("--seeds wants A..B")?;
                wanted.seeds = number(first)?..number(end)?;
            }
            "--steps" => wanted.steps = number(&value)?,
            "--mutant" => {
                let known = MUTANTS.iter().chain(TOKEN_MUTANTS).find(|(name, _)| *name == value);
                let (name, _) = known.ok_or_else(|| format!("there is no mutant {value}"))?;
                wanted.subject = Subject::Copied(Some(*name));
            }
            _ => return Err(format!("there is no {name}")),
        }
    }
    Ok(wanted)
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn usage() -> String {
    let mutants: Vec<String> = MUTANTS
        .iter()
        .chain(TOKEN_MUTANTS)
        .map(|(name, rule)| format!("  {name:<24} {rule}"))
        .collect();
    format!(
        "nightlatch-sim [--seed N | --seeds A..B] [--steps M] [--tokens] [--mutant NAME]\nmutants:\n{}",
        mutants.join("\n")
    )
}

/// Prints a line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "a program that talks to the terminal it was started from")]
fn say(line: &str) {
    println!("{}", line.trim_end());
}
