//! `.env` beside `.env.production`: which of them is read is up to the program, and often another than was
//! meant.
//!
//! Vite, Next.js and others have such files as a matter of course, so values that differ are nothing to
//! tell, unless `.env` says itself that it is the other one.

use std::path::Path;

use super::env::{at, read_lines, role, stated};
use super::finding::Finding;
use super::written::{Last, Written};
use super::{file_text, ours, secrets};
use crate::config::Environment;
use crate::config::ProblemLevel::{Info, Warn};
use crate::config::setting;

/// Where each environment's values stand, by the habits of frameworks.
const PRODUCTION: [&str; 2] = [".env.production", ".env.prod"];
const STAGING: [&str; 2] = [".env.staging", ".env.stage"];
const DEVELOPMENT: [&str; 2] = [".env.development", ".env.dev"];
const LOCAL: [&str; 2] = [".env.local", ".env.production.local"];

/// The one that is read where nobody says otherwise.
const PLAIN: &str = ".env";

/// How many names a finding lists.
const NAMES_MAX: usize = 5;

/// Compares a file with what it is called, and with those beside it.
pub(super) fn examine(path: &Path, all: &[Written]) -> Vec<Finding> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let of_file: Vec<&Written> = all.iter().filter(|it| it.place.line.is_some()).collect();
    let last = Last::of(of_file);
    if name != PLAIN {
        return misnamed(name, &last).into_iter().collect();
    }
    let is_ours = ours::are_ours(all);
    let stated = stated(&last).map(|(environment, _)| environment);
    let others: Vec<&str> = match stated {
        _ if is_ours => [PRODUCTION, STAGING, DEVELOPMENT, LOCAL].concat(),
        Some(Environment::Production) => PRODUCTION.to_vec(),
        Some(Environment::Staging) => STAGING.to_vec(),
        Some(Environment::Development) | None => Vec::new(),
    };
    others.into_iter().filter_map(|other| beside(path, other, &last, is_ours)).collect()
}

/// A file that says it is another one.
fn misnamed(name: &str, last: &Last<'_>) -> Option<Finding> {
    let (environment, written) = stated(last)?;
    let meant = if PRODUCTION.contains(&name) {
        Environment::Production
    } else if DEVELOPMENT.contains(&name) {
        Environment::Development
    } else {
        return None;
    };
    (environment != meant).then(|| {
        let why = format!("says {environment} in the file of {meant}");
        at(written, Finding::new("env-file-environment", Warn, why).fix(meant.as_str()))
    })
}

/// What a file beside it says otherwise.
fn beside(path: &Path, other: &str, last: &Last<'_>, is_ours: bool) -> Option<Finding> {
    let read = file_text::read(&path.with_file_name(other)).ok()?;
    let (beside, _) = read_lines(other, read.text.expose());
    let beside = Last::of(&beside);
    let mine = stated(last);
    let theirs = stated(&beside).map(|(environment, _)| environment);
    if let (Some((mine, written)), Some(theirs)) = (mine, theirs)
        && mine.is_production()
        && PRODUCTION.contains(&other)
        && theirs != mine
    {
        let why = format!(
            "says {mine}, though {other} beside it says {theirs}: it depends on the program which \
             of them is read"
        );
        return Some(at(written, Finding::new("env-file-environment", Warn, why)));
    }
    if is_ours && mine.is_none() && theirs.is_some_and(Environment::is_production) {
        let why = format!(
            "{other} says production and is not read: Nightlatch reads .env alone, and without \
             ENVIRONMENT there this is development"
        );
        let finding = Finding::new("env-file-beside", Info, why).fix("ENVIRONMENT=production");
        let source = Some(path.display().to_string());
        return Some(Finding { name: Some("ENVIRONMENT".to_owned()), source, ..finding });
    }
    differing(other, last, &beside, is_ours)
}

fn differing(other: &str, last: &Last<'_>, beside: &Last<'_>, is_ours: bool) -> Option<Finding> {
    let matters = |it: &Written| {
        role(last, it).is_some()
            || secrets::is_signing(&it.name)
            || is_ours && setting::find_or_file(&it.name).is_some()
    };
    let differs = |it: &&&Written| {
        beside.value(&it.name).is_some_and(|theirs| theirs != it.value.expose()) && matters(it)
    };
    let differing: Vec<&Written> = last.in_order().iter().filter(differs).copied().collect();
    let first = differing.first()?;
    let names: Vec<&str> = differing.iter().take(NAMES_MAX).map(|it| it.name.as_str()).collect();
    let dots = if differing.len() > NAMES_MAX { ", .." } else { "" };
    let names = names.join(", ");
    let reader = if is_ours {
        "Nightlatch reads this file alone"
    } else {
        "it depends on the program which of them is read"
    };
    let why = format!("{other} beside it has another value of {names}{dots}: {reader}");
    Some(at(first, Finding::new("env-file-beside", Info, why)))
}
