//! A file of ours: everything that the server itself would say of it.
//!
//! By the server's own reader, so that both are of one opinion. What doctor says of a line by itself knows
//! more of how it came about, so it is not said again.

use std::path::Path;

use nightlatch_core::Secret;

use super::env::at;
use super::finding::{Addition, Finding};
use super::redis_urls::Role;
use super::written::{Last, Written};
use crate::config::ProblemLevel::{Info, Warn};
use crate::config::setting::{self, Form};
use crate::config::source::Assigned;
use crate::config::{Config, Origin, Problem, resolve};

/// The finding of a setting that production requires.
const MISSING: &str = "setting-missing";

/// Our secrets, and other names that nobody else has, and what all other such names begin with.
const SECRETS: [&str; 2] = ["SESSION_SECRET_KEY", "CSRF_SECRET_KEY"];
const OURS: [&str; 8] = [
    "SESSION_REMEMBER_AGE",
    "SESSION_IDLE_TIMEOUT",
    "REDIS_DEADLINE_MS",
    "JWT_REFRESH_GRACE",
    "THROTTLE_LOGIN",
    "THROTTLE_ADDRESS",
    "THROTTLE_ACCOUNT",
    "THROTTLE_REGISTER",
];
const PREFIX: &str = "NIGHTLATCH_";

/// Where a record is kept says whose it is, if it is called so.
const DATABASE_URL: &str = "DATABASE_URL";
const NAME: &str = "nightlatch";

/// What others call what is meant by ours.
const ALIASES: [(&str, &str); 26] = [
    ("DB_URL", "DATABASE_URL"),
    ("DATABASE_URI", "DATABASE_URL"),
    ("POSTGRES_URL", "DATABASE_URL"),
    ("POSTGRESQL_URL", "DATABASE_URL"),
    ("SQLALCHEMY_DATABASE_URI", "DATABASE_URL"),
    ("DB_PASSWORD", "DATABASE_PASSWORD"),
    ("PGPASSWORD", "DATABASE_PASSWORD"),
    ("POSTGRES_PASSWORD", "DATABASE_PASSWORD"),
    ("SECRET_KEY", "SESSION_SECRET_KEY"),
    ("SECRET_KEY_BASE", "SESSION_SECRET_KEY"),
    ("SESSION_SECRET", "SESSION_SECRET_KEY"),
    ("CSRF_SECRET", "CSRF_SECRET_KEY"),
    ("REDIS_PASS", "REDIS_PASSWORD"),
    ("REDIS_AUTH", "REDIS_PASSWORD"),
    ("REDIS_USER", "REDIS_USERNAME"),
    ("REDIS_DATABASE", "REDIS_DB"),
    ("REDIS_SSL", "REDIS_TLS"),
    ("APP_ENV", "ENVIRONMENT"),
    ("NODE_ENV", "ENVIRONMENT"),
    ("BASE_URL", "PUBLIC_URL"),
    ("APP_URL", "PUBLIC_URL"),
    ("SITE_URL", "PUBLIC_URL"),
    ("PORT", "NIGHTLATCH_LISTEN"),
    ("SESSION_TTL", "SESSION_COOKIE_AGE"),
    ("COOKIE_DOMAIN", "SESSION_COOKIE_DOMAIN"),
    ("CORS_ALLOWED_ORIGINS", "ALLOWED_ORIGINS"),
];

/// Where orchestrators put secrets: not on the machine that a file is written on.
const MOUNTED: [&str; 2] = ["/run/secrets/", "/var/run/secrets/"];

/// The longest value that a corrected line is compared with.
const COMPARED_BYTES_MAX: usize = 256;

/// Whether they are a Nightlatch's.
pub(super) fn are_ours(all: &[Written]) -> bool {
    let is_ours = |it: &Written| {
        let name = it.name.as_str();
        SECRETS.contains(&name)
            || OURS.contains(&name)
            || name.starts_with(PREFIX)
            || name == DATABASE_URL && it.value.expose().contains(NAME)
    };
    all.iter().any(is_ours)
}

/// What the server would say, apart from what is `told` already.
pub(super) fn examine(source: &str, last: &Last<'_>, told: &[Finding]) -> Vec<Finding> {
    let assigned = last.in_order().iter().map(|one| Assigned {
        name: &one.name,
        value: last.expanded(one),
        line: one.place.line,
    });
    let report = Config::judge(Path::new(source), assigned);
    let said = report.problems.into_iter();
    let said = said.filter_map(|problem| finding(source, last, told, problem));
    said.chain(aliases(last)).collect()
}

/// Names of others where ours is not set. They may be another program's in the same file.
fn aliases(last: &Last<'_>) -> Vec<Finding> {
    let is_meant =
        |(_, ours): &&(&str, &str)| !last.has(ours) && !last.has(&format!("{ours}_FILE"));
    let of_one = |(name, ours): &(&str, &str)| {
        let written = last.find(name).filter(|it| !it.value.expose().is_empty())?;
        let why = format!("is not read by Nightlatch, which calls it {ours}");
        let finding = at(written, Finding::new("setting-alias", Info, why));
        Some(Finding { fix: Some(format!("{ours}=...")), ..finding })
    };
    ALIASES.iter().filter(is_meant).filter_map(of_one).collect()
}

/// A problem of the server's, where it is worth telling.
fn finding(source: &str, last: &Last<'_>, told: &[Finding], problem: Problem) -> Option<Finding> {
    let Problem { id, level, why, fix, .. } = &problem;
    let fix = fix.clone().filter(|fix| !may_tell(&problem, last, fix));
    let finding = Finding { fix, ..Finding::new(id, *level, why) };
    // What `nightlatch.toml` says is no line of this file.
    if matches!(place(&problem), Origin::Toml { .. }) {
        return None;
    }
    let Some(written) = written(last, &problem) else {
        let addition = addition(&problem, last);
        let (name, source) = (problem.name, Some(source.to_owned()));
        return Some(Finding { name, source, addition, ..finding });
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
    let correction = taken_for(id, written);
    let place = written.place.clone();
    Some(Finding {
        name: Some(written.name.clone()),
        source: place.source,
        line: place.line,
        column: place.column,
        was: Some(written.value.clone()),
        correction,
        ..finding
    })
}

/// The line of a secret that is missing, if it stands under no other name.
fn addition(problem: &Problem, last: &Last<'_>) -> Option<Addition> {
    let name =
        problem.name.as_deref().filter(|name| problem.id == MISSING && is_own_secret(name))?;
    let is_meant = |it: &&Written| {
        let is_other = it.name != name && !it.value.expose().is_empty();
        is_other
            && (ALIASES.contains(&(it.name.as_str(), name)) || resolve::is_near(&it.name, name))
    };
    let may_be_elsewhere = last.in_order().iter().copied().any(|it| is_meant(&it));
    (!may_be_elsewhere).then(|| Addition { name: name.to_owned(), value: None })
}

/// A setting that only has to be secret, so that a new one is as good.
fn is_own_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

/// What the server takes a value for that has something pasted around it.
pub(super) fn taken_for(id: &str, written: &Written) -> Option<Secret<String>> {
    (id == "setting-pasted").then(|| resolve::taken_for(&written.name, written.value.expose()))?
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
    let mut all = last.in_order().iter().copied();
    match place(problem) {
        Origin::EnvFile { line, .. } => all.find(|it| it.place.line == Some(*line)),
        Origin::Environment => {
            let is_it =
                |it: &&Written| it.place.line.is_none() && Some(&it.name) == problem.name.as_ref();
            all.find(is_it)
        }
        _ => None,
    }
}

/// Where the setting of a problem stands, which may name a file.
fn place(problem: &Problem) -> &Origin {
    match &problem.origin {
        Origin::ValueFile { named_by, .. } => named_by,
        origin => origin,
    }
}
