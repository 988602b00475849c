//! `nightlatch doctor`: what is wrong, the worst first, and the line that puts it right.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::args::{DoctorArgs, DoctorTopic};
use super::console::Console;
use super::printable::printable;
use super::{FAILURE, FINE};
use crate::config::LoadArgs;
use crate::doctor::diagnosis::Diagnosis;
use crate::doctor::examine_env_file;
use crate::doctor::finding::Finding;

/// Runs the command; the exit code: 1 if an error was found, with `--strict` a warning.
pub(super) fn run(
    args: DoctorArgs,
    load: &LoadArgs,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let file = load.env_file.clone().unwrap_or_else(|| PathBuf::from(".env"));
    let findings = match args.topic {
        DoctorTopic::Env => examine_env_file(&file, args.with_env),
    };
    let diagnosis = Diagnosis::of(findings);
    if args.json {
        serde_json::to_writer_pretty(&mut *console.out, &diagnosis.to_json())?;
        writeln!(console.out)?;
    } else {
        print_text(&diagnosis, &file, console.out)?;
    }
    Ok(if diagnosis.is_failure(args.strict) { FAILURE } else { FINE })
}

fn print_text(diagnosis: &Diagnosis, file: &Path, out: &mut dyn Write) -> io::Result<()> {
    for finding in diagnosis.findings() {
        print_finding(finding, out)?;
    }
    let file = file.display().to_string();
    writeln!(out, "{}: {}", printable(&file), diagnosis.summary())
}

fn print_finding(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let place = [finding.source.clone(), number(finding.line), number(finding.column)];
    let place: Vec<String> = place.into_iter().flatten().collect();
    write!(out, "{:<6} {}", finding.level.as_str(), printable(&place.join(":")))?;
    if let Some(name) = &finding.name {
        write!(out, "  {}", printable(name))?;
    }
    writeln!(out, "  [{}]", finding.id)?;
    writeln!(out, "       {}", printable(&finding.why))?;
    if let Some(text) = &finding.text {
        writeln!(out, "       it says: {}", printable(text))?;
    }
    if let Some(fix) = &finding.fix {
        writeln!(out, "       write:   {}", printable(fix))?;
    }
    writeln!(out)
}

fn number(number: Option<usize>) -> Option<String> {
    number.map(|number| number.to_string())
}
