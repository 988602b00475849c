//! `nightlatch-counted`: the server, with an allocator that counts. Started by the benchmark.
//!
//! A program of its own, because counting takes time: what is timed runs without it. Every line on
//! standard input is answered with the number of allocations so far.

use std::alloc::System;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Parser;
use nightlatch::cli;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    // Handles of their own: the command line may keep those of `std::io` locked.
    let (input, output) = (io::stdin(), io::stdout());
    match (input.as_fd().try_clone_to_owned(), output.as_fd().try_clone_to_owned()) {
        (Ok(input), Ok(output)) => {
            std::thread::spawn(|| answer(input.into(), output.into()));
            cli::run(cli::args::Cli::parse())
        }
        _ => ExitCode::FAILURE,
    }
}

/// Ends when nobody asks any more.
fn answer(input: File, mut output: File) {
    for _ in BufReader::new(input).lines() {
        let stats = ALLOCATOR.stats();
        // What grew had to be allocated anew, so it counts.
        let asked = stats.allocations + stats.reallocations;
        if writeln!(output, "{asked}").is_err() {
            return;
        }
    }
}
