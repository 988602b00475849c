//! `doctor env`: what is wrong in a `.env` file, whoever's it is, without asking anybody.
//!
//! Names that are not of Redis and not of secrets are nobody's business here, and neither is what an
//! application sets elsewhere.

use std::path::Path;

use nightlatch_core::Secret;

use super::diagnosis::Diagnosis;
use super::file_text::{self, Encoding};
use super::finding::Finding;
use super::redis_urls::{Role, Seen};
use super::{redis_text, redis_urls, secrets};
use crate::config::Environment;
use crate::config::ProblemLevel::{Error, Info, Warn};
use crate::config::env_file::{self, Assignment};

/// What applications call their environment, the likeliest first.
const ENVIRONMENTS: [&str; 6] =
    ["ENVIRONMENT", "DJANGO_ENV", "NODE_ENV", "RAILS_ENV", "APP_ENV", "FLASK_ENV"];

/// Characters that nobody sees, and that nobody means.
const INVISIBLE: [char; 7] =
    ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{00a0}', '\u{00ad}'];

/// Examines a file.
#[must_use]
pub fn examine_env_file(path: &Path) -> Diagnosis {
    let source = path.display().to_string();
    let mut findings = match file_text::read(path) {
        Ok(read) => {
            let mut findings = Vec::from_iter(of_encoding(read.encoding, &source));
            findings.extend(examine(read.text.expose()));
            findings
        }
        Err(error) => {
            let why = format!("the file cannot be read: {error}");
            vec![Finding::new("env-file-missing", Error, why)]
        }
    };
    for finding in &mut findings {
        finding.source = Some(source.clone());
    }
    Diagnosis::of(findings)
}

fn of_encoding(encoding: Encoding, source: &str) -> Option<Finding> {
    let (id, level, why, from) = match encoding {
        Encoding::Utf8 => return None,
        Encoding::Utf8WithMark => {
            let why = "begins with a byte order mark, which some programs take for part of the \
                       first name";
            ("env-byte-order-mark", Info, why, None)
        }
        Encoding::Utf16 => {
            let why = "is UTF-16, which next to no program reads";
            ("env-encoding", Error, why, Some("UTF-16"))
        }
        Encoding::Latin1 => {
            let why = "is not UTF-8: characters beyond ASCII come out as others";
            ("env-encoding", Warn, why, Some("ISO-8859-1"))
        }
    };
    let finding = Finding::new(id, level, why);
    Some(match from {
        Some(from) => finding.fix(format!("iconv -f {from} -t UTF-8 {source} > {source}.utf-8")),
        None => finding,
    })
}

/// Examines a text.
pub(super) fn examine(text: &str) -> Vec<Finding> {
    let (assignments, bad_lines) = env_file::parse(text);
    let mut findings: Vec<Finding> = bad_lines
        .into_iter()
        .map(|bad| {
            let why = format!("cannot be read: {}", bad.why);
            let finding = Finding::new("env-line", Warn, why);
            Finding { name: bad.name, line: Some(bad.line), ..finding }
        })
        .collect();
    findings.extend(duplicates(&assignments));
    let last: Vec<&Assignment> = last_ones(&assignments);
    let environment = environment(&last);
    let mut seen = Vec::new();
    for assignment in &last {
        findings.extend(invisible(assignment).map(|finding| at(assignment, finding)));
        findings.extend(service_link(assignment).map(|finding| at(assignment, finding)));
        if Role::of(&assignment.name).is_none() || !is_redis(assignment) {
            continue;
        }
        let value = expanded(assignment, &last);
        let examined = redis_text::examine(&assignment.name, value.expose(), environment);
        findings.extend(examined.findings.into_iter().map(|finding| at(assignment, finding)));
        seen.extend(examined.url.map(|url| Seen { assignment, url }));
    }
    let together = redis_urls::examine(&seen).into_iter();
    let together = together.chain(secrets::examine(&last, environment));
    findings.extend(together.map(|(assignment, finding)| at(assignment, finding)));
    findings
}

/// The finding, where its setting stands, and its fix as a line.
fn at(assignment: &Assignment, finding: Finding) -> Finding {
    let name = &assignment.name;
    let fix = finding.fix.map(|value| format!("{name}={value}"));
    Finding {
        name: Some(name.clone()),
        line: Some(assignment.line),
        column: finding.column.or(Some(assignment.column)),
        fix,
        ..finding
    }
}

/// What is said of each name at last.
fn last_ones(assignments: &[Assignment]) -> Vec<&Assignment> {
    let is_last = |(at, one): &(usize, &Assignment)| {
        assignments[at + 1..].iter().all(|later| later.name != one.name)
    };
    assignments.iter().enumerate().filter(is_last).map(|(_, one)| one).collect()
}

fn duplicates(assignments: &[Assignment]) -> Vec<Finding> {
    let earlier = |at: usize, one: &Assignment| {
        let before = assignments[..at].iter().rev();
        before.clone().find(|it| it.name == one.name).map(|it| (it.line, it.value.expose().clone()))
    };
    let numbered = assignments.iter().enumerate();
    let told = numbered.filter_map(|(number, one)| {
        let (line, value) = earlier(number, one)?;
        (value != *one.value.expose()).then(|| {
            let why = format!(
                "is set in line {line} to another value: most programs take this one, some the first"
            );
            at(one, Finding::new("env-duplicate", Warn, why))
        })
    });
    told.collect()
}

fn environment(assignments: &[&Assignment]) -> Environment {
    let named = ENVIRONMENTS.iter().find_map(|name| assignments.iter().find(|it| it.name == *name));
    let value = named.map(|it| it.value.expose().to_ascii_lowercase());
    match value.as_deref().map(str::trim) {
        None | Some("" | "development" | "dev" | "local" | "test" | "testing") => {
            Environment::Development
        }
        Some("staging" | "stage") => Environment::Staging,
        // Whatever else it says, the strict one.
        Some(_) => Environment::Production,
    }
}

fn invisible(assignment: &Assignment) -> Option<Finding> {
    let value = assignment.value.expose();
    let place = value.chars().position(|c| INVISIBLE.contains(&c))?;
    let code = value.chars().nth(place).map_or(0, u32::from);
    let quote = usize::from(assignment.quote.is_some());
    let why = format!("holds the invisible character U+{code:04X}, pasted from a page or a mail");
    let finding = Finding::new("value-invisible", Error, why);
    Some(Finding { column: Some(assignment.column + quote + place), ..finding })
}

/// What Kubernetes sets for a service of the name `redis`: it wins over what was meant.
fn service_link(assignment: &Assignment) -> Option<Finding> {
    let is_port = assignment.name.ends_with("REDIS_PORT");
    let value = assignment.value.expose();
    (is_port && value.starts_with("tcp://")).then(|| {
        let why = "is a service link of Kubernetes where a number belongs; \
                   `enableServiceLinks: false` in the pod keeps them away";
        let port = value.rsplit(':').next().unwrap_or("6379").to_owned();
        Finding::new("kubernetes-service-link", Error, why).text(value.clone()).fix(port)
    })
}

/// Whether a value of such a name is about Redis: a cache and a queue may be something else.
fn is_redis(assignment: &Assignment) -> bool {
    let value = assignment.value.expose().to_ascii_lowercase();
    assignment.name.contains("REDIS") || value.contains("redis") || value.contains("valkey")
}

/// References to other names of the file are replaced, as the usual readers do; others stay.
fn expanded(assignment: &Assignment, all: &[&Assignment]) -> Secret<String> {
    let value = assignment.value.expose();
    if assignment.quote == Some('\'') {
        return Secret::new(value.clone());
    }
    let (mut text, mut rest) = (String::new(), value.as_str());
    while let Some((before, after)) = rest.split_once("${") {
        text.push_str(before);
        let Some((inner, behind)) = after.split_once('}') else {
            text.push_str("${");
            rest = after;
            continue;
        };
        let (name, preset) = inner.split_once(":-").map_or((inner, None), |(n, p)| (n, Some(p)));
        let known = all.iter().find(|it| it.name == name).map(|it| it.value.expose().as_str());
        match known.or(preset) {
            Some(known) => text.push_str(known),
            None => text.extend(["${", inner, "}"]),
        }
        rest = behind;
    }
    text.push_str(rest);
    Secret::new(text)
}

#[cfg(test)]
mod tests;
