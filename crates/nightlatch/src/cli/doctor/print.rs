//! What was found, for people: a paragraph each, the worst first, and the sum of it last.
//!
//! In colour only where a terminal wants it (<https://no-color.org>): scripts that read it see text.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};

use super::super::printable::printable;
use crate::config::ProblemLevel;
use crate::doctor::diagnosis::Diagnosis;
use crate::doctor::finding::{Finding, Remedy};

/// How far what belongs to a finding stands to the right.
const INDENT: &str = "       ";

/// Prints all of it.
pub(super) fn as_text(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let is_colored = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
    for finding in diagnosis.findings() {
        print_finding(finding, is_colored, out)?;
    }
    writeln!(out, "{}", diagnosis.summary())
}

fn print_finding(finding: &Finding, is_colored: bool, out: &mut dyn Write) -> io::Result<()> {
    let (begin, end) = if is_colored { (color(finding.level), "\x1b[0m") } else { ("", "") };
    write!(out, "{begin}{:<6}{end} ", finding.level.as_str())?;
    let place = [finding.source.clone(), number(finding.line), number(finding.column)];
    let place: Vec<String> = place.into_iter().flatten().collect();
    if !place.is_empty() {
        write!(out, "{}  ", printable(&place.join(":")))?;
    }
    if let Some(name) = &finding.name {
        write!(out, "{}  ", printable(name))?;
    }
    writeln!(out, "[{}]", finding.id)?;
    writeln!(out, "{INDENT}{}", printable(&finding.why))?;
    if let Some(text) = &finding.text {
        writeln!(out, "{INDENT}seen:    {}", printable(text))?;
    }
    if let Some(fix) = &finding.fix {
        let label = match finding.remedy {
            Remedy::Write => "write:",
            Remedy::Run => "run:  ",
        };
        writeln!(out, "{INDENT}{label}   {}", printable(fix))?;
    }
    writeln!(out)
}

/// Red, yellow and blue, in bold.
const fn color(level: ProblemLevel) -> &'static str {
    match level {
        ProblemLevel::Error => "\x1b[1;31m",
        ProblemLevel::Warn => "\x1b[1;33m",
        ProblemLevel::Info => "\x1b[1;34m",
    }
}

fn number(number: Option<usize>) -> Option<String> {
    number.map(|number| number.to_string())
}
