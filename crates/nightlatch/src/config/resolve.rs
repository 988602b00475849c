//! From entries of all sources to one value a setting.
//!
//! The highest source that sets a name wins, `NAME_FILE` included. Empty values count as not set,
//! because compose files pass `NAME=` for what nobody set. What people paste wrongly in an
//! unmistakable way (quotes, blanks, the name in front) is reported and taken as meant.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use nightlatch_core::Secret;

use super::problem::{Problem, ProblemLevel};
use super::setting::{self, Setting};
use super::source::{Entry, Gathered, Rank, read_bounded};
use super::{Origin, value};

/// A value in force, not yet understood.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) value: Secret<String>,
    pub(super) origin: Origin,
}

/// One value a setting.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) values: BTreeMap<&'static str, Found>,
    /// Settings whose file could not be read: their absence needs no second complaint.
    pub(super) broken: BTreeSet<&'static str>,
    pub(super) problems: Vec<Problem>,
    pub(super) files: Vec<PathBuf>,
    pub(super) other_env_files: Vec<PathBuf>,
    pub(super) hides_values: bool,
}

/// Resolves all sources.
pub(super) fn resolve(gathered: Gathered) -> Resolved {
    let Gathered { entries, problems, files, other_env_files, hides_values } = gathered;
    let mut resolved =
        Resolved { problems, files, other_env_files, hides_values, ..Resolved::default() };
    let mut winners: BTreeMap<&'static str, Candidate> = BTreeMap::new();
    for entry in entries {
        match setting::find_or_file(&entry.name) {
            None => resolved.problems.extend(unknown(&entry)),
            Some(_) if entry.value.expose().trim().is_empty() => {}
            Some((setting, is_file)) => {
                let candidate = Candidate { entry, is_file };
                let Some(earlier) = winners.remove(setting.name) else {
                    winners.insert(setting.name, candidate);
                    continue;
                };
                let (winner, doubled) = contest(earlier, candidate);
                resolved.problems.extend(doubled.then(|| set_twice(setting, &winner)));
                winners.insert(setting.name, winner);
            }
        }
    }
    for (name, candidate) in winners {
        let setting = setting::find(name).expect("winners are stored under names of the table");
        match settle(setting, candidate, &mut resolved.problems) {
            Some(found) => drop(resolved.values.insert(name, found)),
            None => drop(resolved.broken.insert(name)),
        }
    }
    resolved
}

struct Candidate {
    entry: Entry,
    is_file: bool,
}

/// Who wins, and whether one source set the same thing twice.
fn contest(earlier: Candidate, later: Candidate) -> (Candidate, bool) {
    if later.entry.rank > earlier.entry.rank {
        return (later, false);
    }
    if later.entry.rank < earlier.entry.rank {
        return (earlier, false);
    }
    // Within one source the value itself beats the file, and the later line the earlier one.
    let winner = if later.is_file && !earlier.is_file { earlier } else { later };
    (winner, true)
}

fn set_twice(setting: &Setting, winner: &Candidate) -> Problem {
    Problem {
        id: "setting-twice",
        level: ProblemLevel::Warn,
        name: Some(setting.name.to_owned()),
        origin: winner.entry.origin.clone(),
        why: "is set more than once there; this one holds".to_owned(),
        fix: None,
    }
}

/// Follows `NAME_FILE` and cleans what was pasted.
fn settle(setting: &Setting, candidate: Candidate, problems: &mut Vec<Problem>) -> Option<Found> {
    let Entry { name, value, origin, rank } = candidate.entry;
    let is_exact = setting.is_secret() && rank != Rank::Environment;
    if !candidate.is_file {
        return Some(clean(setting, Found { value, origin }, is_exact, problems));
    }
    let path = PathBuf::from(value.expose().trim());
    match read_bounded(&path, VALUE_FILE_BYTES_MAX) {
        Ok(text) => {
            let text = text.expose();
            let line = text.strip_suffix('\n').unwrap_or(text);
            let line = line.strip_suffix('\r').unwrap_or(line);
            let value = Secret::new(line.to_owned());
            let origin = Origin::ValueFile { path, named_by: Box::new(origin) };
            Some(clean(setting, Found { value, origin }, setting.is_secret(), problems))
        }
        Err(error) => {
            let fix = Some(origin.line_setting(&name, "/path/to/an/existing/file"));
            let why = format!("the file {} cannot be read: {error}", path.display());
            let level = ProblemLevel::Error;
            let id = "setting-file";
            problems.push(Problem { id, level, name: Some(name), origin, why, fix });
            None
        }
    }
}

/// A private key with its chain fits many times.
const VALUE_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Takes off what is unmistakably not part of the value, and says so.
fn clean(setting: &Setting, found: Found, is_exact: bool, problems: &mut Vec<Problem>) -> Found {
    let given = found.value.expose();
    let (mistakes, meant) = meant(setting, given, is_exact);
    if mistakes.is_empty() && meant.len() == given.len() {
        return found;
    }
    let value = Secret::new(meant.to_owned());
    if !mistakes.is_empty() {
        problems.push(Problem {
            id: "setting-pasted",
            level: ProblemLevel::Warn,
            name: Some(setting.name.to_owned()),
            origin: found.origin.clone(),
            why: format!("the value {}; they are taken off", mistakes.join(" and ")),
            fix: Some(found.origin.line_setting(setting.name, shown(setting, meant))),
        });
    }
    Found { value, origin: found.origin }
}

/// What a value is taken for, and what was taken off.
fn meant<'a>(setting: &Setting, given: &'a str, is_exact: bool) -> (Vec<&'static str>, &'a str) {
    let trimmed = if is_exact { given } else { given.trim() };
    let mut mistakes = Vec::new();
    if setting.is_secret() && trimmed.len() != given.len() {
        mistakes.push("has blanks around it");
    }
    let mut meant = trimmed;
    let named =
        meant.strip_prefix(setting.name).and_then(|rest| rest.trim_start().strip_prefix('='));
    if let Some(rest) = named {
        mistakes.push("begins with its own name");
        meant = rest.trim();
    }
    if let Some(inner) = unquoted(meant) {
        mistakes.push("stands in quotes that are part of it");
        meant = inner;
    }
    (mistakes, meant)
}

/// What the value of a line is taken for, where that is not what stands there.
pub(crate) fn taken_for(name: &str, given: &str) -> Option<Secret<String>> {
    let (mistakes, meant) = meant(setting::find(name)?, given, true);
    (!mistakes.is_empty()).then(|| Secret::new(meant.to_owned()))
}

fn unquoted(text: &str) -> Option<&str> {
    ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

fn shown<'a>(setting: &Setting, value: &'a str) -> &'a str {
    if setting.is_secret() || may_hold_password(value) { "<the value alone>" } else { value }
}

/// Whether it is a URL with somebody's name before its host, wherever it was pasted.
pub(super) fn may_hold_password(value: &str) -> bool {
    value.contains('@')
}

/// A name that is none of ours but nearly so, or any unknown key of our own file.
fn unknown(entry: &Entry) -> Option<Problem> {
    let upper = entry.name.to_ascii_uppercase();
    let near = nearest(&upper);
    if near.is_none() && entry.rank != Rank::Toml {
        return None;
    }
    Some(Problem {
        id: "setting-unknown",
        level: ProblemLevel::Warn,
        name: Some(entry.name.clone()),
        origin: entry.origin.clone(),
        why: "is no setting; it is left out".to_owned(),
        fix: near.map(|name| entry.origin.line_setting(&name, "...")),
    })
}

/// The known name that `name` was probably meant to be.
fn nearest(name: &str) -> Option<String> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let (stem, ending) = match name.strip_suffix("_FILE") {
        Some(stem) => (stem, "_FILE"),
        None => (name, ""),
    };
    let distances = setting::all().map(|s| (value::distance(stem, s.name), s.name));
    let (_, nearest) = distances.min()?;
    is_near(stem, nearest).then(|| format!("{nearest}{ending}"))
}

/// Whether `name` may be a slip of `known`.
pub(crate) fn is_near(name: &str, known: &str) -> bool {
    let distance = value::distance(name, known);
    // Short names are near to many things: `REDIS_IP` is somebody else's, not our `REDIS_DB`.
    distance <= NAME_DISTANCE_MAX && distance * 5 <= known.len()
}

const NAME_BYTES_MAX: usize = 64;
const NAME_DISTANCE_MAX: usize = 2;
