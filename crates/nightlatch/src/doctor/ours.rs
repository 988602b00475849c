//! A file of ours: everything that the server itself would say of it.
//!
//! By the server's own reader, so that both are of one opinion. What doctor says of a line by itself knows
//! more of how it came about, so it is not said again.

use std::path::Path;

use super::finding::Finding;
use super::redis_urls::Role;
use super::written::{Last, Written};
use crate::config::ProblemLevel::Warn;
use crate::config::setting::{self, Form};
use crate::config::source::Assigned;
use crate::config::{Config, Origin, Problem};

/// Names that nobody else has, and what all other such names begin with.
const OURS: [&str; 2] = ["SESSION_SECRET_KEY", "CSRF_SECRET_KEY"];
const PREFIX: &str = "NIGHTLATCH_";

/// Where orchestrators put secrets: not on the machine that a file is written on.
const MOUNTED: [&str; 2] = ["/run/secrets/", "/var/run/secrets/"];

/// The longest value that a corrected line is compared with.
const COMPARED_BYTES_MAX: usize = 256;

/// Whether they are a Nightlatch's.
pub(super) fn are_ours(all: &[Written]) -> bool {
    all.iter().any(|it| OURS.contains(&it.name.as_str()) || it.name.starts_with(PREFIX))
}

/// What the server would say, apart from what is `told` already.
pub(super) fn examine(source: &str, last: &Last<'_>, told: &[Finding]) -> Vec<Finding> {
    let assigned = last.in_order().iter().map(|one| Assigned {
        name: &one.name,
        value: last.expanded(one),
        line: one.place.line,
    });
    let report = Config::judge(Path::new(source), assigned);
    report.problems.into_iter().filter_map(|problem| finding(source, last, told, problem)).collect()
}

/// A problem of the server's, where it is worth telling.
fn finding(source: &str, last: &Last<'_>, told: &[Finding], problem: Problem) -> Option<Finding> {
    let Problem { id, level, why, fix, .. } = &problem;
    let fix = fix.clone().filter(|fix| !may_tell(&problem, last, fix));
    let finding = Finding { fix, ..Finding::new(id, *level, why) };
    let Some(written) = written(last, &problem) else {
        return Some(Finding { name: problem.name, source: Some(source.to_owned()), ..finding });
    };
    let is_told = told.iter().any(|it| {
        it.name.as_ref() == Some(&written.name)
            && it.line == written.place.line
            && it.level >= *level
            && (it.id != "env-duplicate" || *id == "setting-twice")
    });
    // A reference that is left is replaced elsewhere, or it has its own finding.
    let is_open = last.expanded(written).expose().contains("${");
    // Celery reads it; that we do not is no mistake.
    let is_of_others = *id == "setting-unused" && Role::of(&written.name).is_some();
    if is_told || is_open || is_of_others {
        return None;
    }
    let finding = if *id == "setting-file" { of_value_file(written, finding)? } else { finding };
    let place = written.place.clone();
    Some(Finding {
        name: Some(written.name.clone()),
        source: place.source,
        line: place.line,
        column: place.column,
        was: Some(written.value.clone()),
        ..finding
    })
}

/// Whether a corrected line is made of the value of a setting that may be any text: it may be a secret that
/// was pasted into the wrong line.
fn may_tell(problem: &Problem, last: &Last<'_>, fix: &str) -> bool {
    let named = problem.name.as_deref().and_then(setting::find);
    let is_any_text = named.is_some_and(|it| matches!(it.form, Form::Text(_)));
    let value = last.value(problem.name.as_deref().unwrap_or_default()).unwrap_or_default();
    let fixed = fix.split_once('=').map_or(fix, |(_, fixed)| fixed);
    let shares = |piece: &[u8]| fixed.as_bytes().windows(piece.len()).any(|other| other == piece);
    is_any_text && (value.len() > COMPARED_BYTES_MAX || value.as_bytes().windows(4).any(shares))
}

/// The file may be there where the server runs. What it is called may be a secret in the wrong place.
fn of_value_file(written: &Written, finding: Finding) -> Option<Finding> {
    let is_mounted = MOUNTED.iter().any(|folder| written.value.expose().starts_with(folder));
    let why = "names a file that cannot be read here: without it the server does not start";
    (!is_mounted).then(|| Finding { level: Warn, why: why.to_owned(), ..finding })
}

/// The setting that a problem is about.
fn written<'a>(last: &Last<'a>, problem: &Problem) -> Option<&'a Written> {
    let origin = match &problem.origin {
        Origin::ValueFile { named_by, .. } => named_by,
        origin => origin,
    };
    let mut all = last.in_order().iter().copied();
    match origin {
        Origin::EnvFile { line, .. } => all.find(|it| it.place.line == Some(*line)),
        Origin::Environment => {
            let is_it =
                |it: &&Written| it.place.line.is_none() && Some(&it.name) == problem.name.as_ref();
            all.find(is_it)
        }
        _ => None,
    }
}
