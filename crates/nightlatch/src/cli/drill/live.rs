//! How a drill goes, while it goes: at a terminal one line for each fault, written over in place;
//! elsewhere a line when it has its verdict.
//!
//! On standard error, beside the report.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use nightlatch_drill::outcome::Outcome;
use nightlatch_drill::run::{Phase, Plan, Progress};

use crate::cli::printable::printable;
use crate::drill_report;

pub(super) struct Live {
    is_terminal: bool,
    is_colored: bool,
    /// How wide the line is that stands there.
    width: usize,
}

impl Live {
    pub(super) fn new() -> Self {
        let is_terminal = io::stderr().is_terminal();
        let is_colored = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
        Self { is_terminal, is_colored, width: 0 }
    }

    pub(super) fn begin(scene: &str, plan: &Plan) {
        let seconds = plan.span.as_secs();
        let scene = printable(scene);
        say(&format!("With {scene}: each fault for {seconds} s.\n"));
    }

    pub(super) fn progress(&mut self, progress: &Progress) {
        if !self.is_terminal {
            return;
        }
        let phase = match progress.phase {
            Phase::Preparing => "people log in",
            Phase::Before => "before",
            Phase::Faulty => "FAULT",
            Phase::Recovering => "recovering",
            Phase::After => "after",
            Phase::Judging => "judging",
        };
        let line = format!(
            "{:<18} {phase:<13} {:>4.0} requests/s {:>6} failed  worst {}",
            progress.fault.name,
            progress.per_second,
            progress.failures,
            drill_report::span(progress.worst),
        );
        self.write_over(&line, "");
    }

    pub(super) fn done(&mut self, outcome: &Outcome) {
        let line = format!(
            "{:<18} {:<13} {:>6} requests {:>6} failed  worst {}  well again {}",
            outcome.fault.name,
            drill_report::verdict(outcome),
            outcome.requests,
            outcome.failures,
            drill_report::span(outcome.worst),
            drill_report::recovery(outcome),
        );
        let color = if outcome.broken.is_empty() { "\x1b[32m" } else { "\x1b[1;31m" };
        self.write_over(&line, if self.is_colored { color } else { "" });
        say("\n");
        self.width = 0;
    }

    /// Blanks over what is left of a longer line: they need no terminal that knows more.
    fn write_over(&mut self, line: &str, color: &str) {
        let width = line.chars().count();
        let begin = if self.is_terminal { "\r" } else { "" };
        let end = if color.is_empty() { "" } else { "\x1b[0m" };
        let rest = " ".repeat(self.width.saturating_sub(width));
        say(&format!("{begin}{color}{line}{end}{rest}"));
        self.width = width;
    }
}

/// Nobody there is no failure.
fn say(text: &str) {
    let mut err = io::stderr();
    let _ = err.write_all(text.as_bytes());
    let _ = err.flush();
}
