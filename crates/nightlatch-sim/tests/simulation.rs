//! The promises hold under every order of events that some hundred seeds show; and each rule is
//! needed for that.

use std::collections::BTreeSet;

use nightlatch_sim::mutant::{MUTANTS, TOKEN_MUTANTS};
use nightlatch_sim::{Report, Run, Subject};

/// Seeds that are run at every test; ten thousand others every night (docs/testing.md).
const SEEDS: std::ops::Range<u64> = 0..2000;

/// As many as these with programs that have tokens, beside people with cookies.
const TOKEN_SEEDS: std::ops::Range<u64> = 0..1000;

/// Steps of each.
const STEPS: usize = 1000;

/// The most seeds in which each broken rule must show.
const MUTANT_SEEDS: u64 = 1000;

/// Steps of each of these.
const MUTANT_STEPS: usize = 400;

fn run((seed, with_tokens): (u64, bool)) -> Run {
    Run { seed, with_tokens, steps: STEPS, subject: Subject::Shipped }
}

fn assert_holds(run: Run) {
    let Run { seed, with_tokens, steps, .. } = run;
    let tokens = if with_tokens { " --tokens" } else { "" };
    let report = run.report();
    assert!(
        report.violations().is_empty(),
        "cargo run -p nightlatch-sim -- --seed {seed} --steps {steps}{tokens}\n{report}"
    );
}

#[test]
fn the_promises_hold_for_every_seed() {
    for seed in SEEDS {
        assert_holds(run((seed, false)));
    }
}

#[test]
fn the_promises_hold_for_tokens_too() {
    for seed in TOKEN_SEEDS {
        assert_holds(run((seed, true)));
    }
}

#[test]
fn seeds_that_once_broke_a_promise_stay_mended() {
    for line in include_str!("../seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (Some(seed), Some(steps)) = (words.next(), words.next()) else { continue };
        let (seed, with_tokens) = match seed.strip_prefix("tokens:") {
            Some(seed) => (seed, true),
            None => (seed, false),
        };
        let run = run((seed.parse().unwrap(), with_tokens));
        assert_holds(Run { steps: steps.parse().unwrap(), ..run });
    }
}

#[test]
fn a_seed_is_the_same_history_every_time() {
    for seed in [(1, false), (2, false), (3, false), (1, true), (2, true)] {
        let difference = run(seed).report().first_difference(&run(seed).report());
        assert_eq!(difference, None, "seed {seed:?}");
    }
}

#[test]
fn the_copies_without_a_mutant_behave_as_the_originals() {
    for seed in (0..5).map(|seed| (seed, seed % 2 == 1)) {
        let copied = Run { subject: Subject::Copied(None), ..run(seed) };
        let difference = run(seed).report().first_difference(&copied.report());
        assert_eq!(difference, None, "seed {seed:?}");
    }
}

/// One after the other: each stops at the first seed that shows it.
#[test]
fn each_rule_is_needed() {
    let mut unseen = BTreeSet::new();
    let cookies = MUTANTS.iter().map(|(mutant, _)| (mutant, false));
    let tokens = TOKEN_MUTANTS.iter().map(|(mutant, _)| (mutant, true));
    for (mutant, with_tokens) in cookies.chain(tokens) {
        let subject = Subject::Copied(Some(*mutant));
        let breaks = |seed: &u64| {
            let run = Run { seed: *seed, with_tokens, steps: MUTANT_STEPS, subject };
            let report: Report = run.report();
            !report.violations().is_empty()
        };
        match (0..MUTANT_SEEDS).find(breaks) {
            Some(seed) => println!("{mutant}: seed {seed}"),
            None => {
                unseen.insert(*mutant);
            }
        }
    }
    assert!(unseen.is_empty(), "no seed shows {unseen:?}");
}
