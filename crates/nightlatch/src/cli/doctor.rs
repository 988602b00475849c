//! `nightlatch doctor`: what is wrong, the worst first, and the line that puts it right.

mod print;
mod session;

use std::io::{self, IsTerminal};
use std::path::Path;

use nightlatch_core::{Entropy, SystemEntropy};

use super::args::{DoctorArgs, DoctorTopic};
use super::console::Console;
use super::printable::printable;
use super::{FAILURE, FINE, block_on};
use crate::config::LoadArgs;
use crate::doctor::diagnosis::Diagnosis;
use crate::doctor::finding::Finding;
use crate::doctor::{self, CONTAINER_LOCALHOST, Machine, Parts, RepairedLine, Sources};

/// How often what was written is examined anew: a line may have several mistakes.
const REPAIRS_MAX: usize = 8;

/// Runs the command; the exit code: 1 if an error was found, with `--strict` a warning.
pub(super) fn run(
    args: &DoctorArgs,
    load: &LoadArgs,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let file = load.env_file();
    let mut diagnosis = examine(args, load, console)?;
    for _ in 0..REPAIRS_MAX {
        if !args.flags.fix || !repair(&file, &diagnosis, console) {
            break;
        }
        diagnosis = examine(args, load, console)?;
    }
    if args.flags.json {
        serde_json::to_writer_pretty(&mut *console.out, &diagnosis.to_json())?;
        writeln!(console.out)?;
    } else {
        print::as_text(&diagnosis, console.out)?;
    }
    Ok(if diagnosis.is_failure(args.flags.strict) { FAILURE } else { FINE })
}

fn examine(
    args: &DoctorArgs,
    load: &LoadArgs,
    console: &mut Console<'_>,
) -> anyhow::Result<Diagnosis> {
    let findings = match args.topic {
        DoctorTopic::All => examine_all(args, load, console)?,
        DoctorTopic::Env => {
            doctor::examine_env_file(&load.env_file(), args.flags.with_env, &Machine::here())
        }
        DoctorTopic::Redis => {
            let sources = Sources::read(load, args.flags.with_env);
            block_on(async { Ok(examine_redis(&sources, console).await) })?
        }
        DoctorTopic::Database => {
            let sources = Sources::read(load, args.flags.with_env);
            let mut tell = progress(console);
            block_on(async { Ok(doctor::examine_database(&sources, &mut tell).await) })?
        }
        DoctorTopic::AuthService => {
            let sources = Sources::read(load, args.flags.with_env);
            let mut tell = progress(console);
            block_on(async { Ok(doctor::examine_auth_service(&sources, &mut tell).await) })?
        }
        DoctorTopic::Session => session::examine(&args.server, Parts::All, load, console)?,
        DoctorTopic::Websocket => session::examine(&args.server, Parts::Sockets, load, console)?,
    };
    Ok(Diagnosis::of(findings))
}

/// What the configuration makes sensible. That Redis fails is no error here: logins go on without.
fn examine_all(
    args: &DoctorArgs,
    load: &LoadArgs,
    console: &mut Console<'_>,
) -> anyhow::Result<Vec<Finding>> {
    let origin = args.server.url.as_deref().map(session::origin).transpose()?;
    let file = load.env_file();
    let mut findings = Vec::new();
    if load.env_file.is_some() || file.is_file() {
        findings.extend(doctor::examine_env_file(&file, args.flags.with_env, &Machine::here()));
    }
    let sources = Sources::read(load, args.flags.with_env);
    block_on(async {
        let of_redis = examine_redis(&sources, console).await;
        // Each was asked just now.
        findings.retain(|finding| finding.id != CONTAINER_LOCALHOST);
        findings.extend(of_redis.into_iter().map(|finding| sources.bearable(finding)));
        if doctor::is_database_ours(&sources) {
            findings.extend(doctor::examine_database(&sources, &mut progress(console)).await);
        }
        if doctor::is_auth_service_ours(&sources) {
            findings.extend(doctor::examine_auth_service(&sources, &mut progress(console)).await);
        }
        if let Some(origin) = &origin {
            findings.push(doctor::examine_server(origin, &mut progress(console)).await);
        }
        Ok(findings)
    })
}

async fn examine_redis(sources: &Sources, console: &mut Console<'_>) -> Vec<Finding> {
    doctor::examine_redis(sources, SystemEntropy.bits(), &mut progress(console)).await
}

/// Says what is being done, to a person who waits for it.
fn progress<'a, 'c>(console: &'a mut Console<'c>) -> impl FnMut(&str) + use<'a, 'c> {
    let is_watched = io::stderr().is_terminal();
    move |doing| {
        if is_watched {
            console.talk(format_args!("{}", printable(doing)));
        }
    }
}

/// Writes what may be written without asking; whether anything was. That it cannot is told beside what was
/// found.
fn repair(file: &Path, found: &Diagnosis, console: &mut Console<'_>) -> bool {
    let shown = file.display().to_string();
    let is_about =
        |finding: &Finding| finding.has_correction() && finding.source.as_ref() == Some(&shown);
    if !found.findings().iter().any(is_about) {
        return false;
    }
    let shown = printable(&shown);
    match doctor::repair(file, found.findings(), &SystemEntropy) {
        Ok(None) => false,
        Ok(Some(repaired)) => {
            for RepairedLine { name, line, what } in &repaired.lines {
                console.talk(format_args!("{shown}:{line}: {name} {what}"));
            }
            let copy = repaired.copy.display().to_string();
            console.talk(format_args!("as it was: {}", printable(&copy)));
            true
        }
        Err(error) => {
            console.talk(format_args!("{shown} cannot be corrected: {error}"));
            false
        }
    }
}
