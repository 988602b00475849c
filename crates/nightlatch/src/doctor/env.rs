//! `doctor env`: what is wrong in a `.env` file, whoever's it is, without asking anybody.
//!
//! Names that are not of Redis and not of secrets are nobody's business here, and neither is what an
//! application sets elsewhere.

use std::collections::HashMap;
use std::path::Path;

use nightlatch_core::Secret;

use super::diagnosis::Diagnosis;
use super::file_text::{self, Encoding};
use super::finding::Finding;
use super::redis_urls::{Role, Seen};
use super::shown::masked;
use super::{redis_text, redis_urls, secrets};
use crate::config::Environment;
use crate::config::ProblemLevel::{Error, Info, Warn};
use crate::config::env_file::{self, Assignment, BadLine};
use crate::config::redis_url;

/// What applications call their environment, the likeliest first.
const ENVIRONMENTS: [&str; 6] =
    ["ENVIRONMENT", "DJANGO_ENV", "NODE_ENV", "RAILS_ENV", "APP_ENV", "FLASK_ENV"];

/// How far a reference is followed, and how long what it leads to may be.
const REFERENCES_DEEP_MAX: usize = 8;
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Characters that nobody sees, and that nobody means.
const INVISIBLE: [char; 7] =
    ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{00a0}', '\u{00ad}'];

/// Examines a file.
#[must_use]
pub fn examine_env_file(path: &Path) -> Diagnosis {
    let source = path.display().to_string();
    let mut findings = match file_text::read(path) {
        Ok(read) => {
            let mut findings = Vec::from_iter(of_encoding(read.encoding));
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

fn of_encoding(encoding: Encoding) -> Option<Finding> {
    let (id, level, why) = match encoding {
        Encoding::Utf8 => return None,
        Encoding::Utf8WithMark => {
            let why = "begins with a byte order mark, which some programs take for part of the \
                       first name";
            ("env-byte-order-mark", Info, why)
        }
        Encoding::Utf16 => ("env-encoding", Error, "is UTF-16, which next to no program reads"),
        Encoding::Latin1 => {
            let why = "is not UTF-8: characters beyond ASCII come out as others";
            ("env-encoding", Warn, why)
        }
    };
    Some(Finding::new(id, level, why))
}

/// Examines a text.
pub(super) fn examine(text: &str) -> Vec<Finding> {
    let (assignments, bad_lines) = env_file::parse(text);
    let mut findings: Vec<Finding> = bad_lines.into_iter().map(of_line).collect();
    findings.extend(duplicates(&assignments));
    let last = Last::of(&assignments);
    let in_order = last.in_order();
    let environment = environment(&last);
    let mut seen = Vec::new();
    for &assignment in &in_order {
        let role = last.role(assignment);
        if role.is_some() || secrets::is_signing(&assignment.name) {
            findings.extend(invisible(assignment).map(|finding| at(assignment, finding)));
        }
        findings.extend(service_link(assignment).map(|finding| at(assignment, finding)));
        let Some(role) = role.filter(|_| is_redis(assignment)) else { continue };
        let value = last.expanded(assignment);
        let examined = redis_text::examine(&assignment.name, value.expose());
        findings.extend(examined.findings.into_iter().map(|finding| at(assignment, finding)));
        seen.extend(examined.url.map(|url| Seen { assignment, role, url }));
    }
    let together = redis_urls::examine(&seen).into_iter();
    let together = together.chain(secrets::examine(&in_order, environment));
    findings.extend(together.map(|(assignment, finding)| at(assignment, finding)));
    findings
}

/// A line that this program skips. Others take names with dots and dashes, and names alone.
fn of_line(bad: BadLine) -> Finding {
    let level = if bad.name.is_some() { Warn } else { Info };
    let finding = Finding::new("env-line", level, format!("cannot be read: {}", bad.why));
    Finding { name: bad.name, line: Some(bad.line), ..finding }
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
struct Last<'a> {
    by_name: HashMap<&'a str, &'a Assignment>,
}

impl<'a> Last<'a> {
    fn of(assignments: &'a [Assignment]) -> Self {
        Self { by_name: assignments.iter().map(|it| (it.name.as_str(), it)).collect() }
    }

    fn in_order(&self) -> Vec<&'a Assignment> {
        let mut all: Vec<&Assignment> = self.by_name.values().copied().collect();
        all.sort_unstable_by_key(|it| it.line);
        all
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.by_name.get(name).map(|it| it.value.expose().as_str())
    }

    /// What a URL is for. In a file of ours `REDIS_URL` holds sessions; elsewhere nobody knows.
    fn role(&self, assignment: &Assignment) -> Option<Role> {
        let is_ours = self.by_name.contains_key("SESSION_SECRET_KEY");
        let is_for_sessions = is_ours && assignment.name == "REDIS_URL";
        if is_for_sessions { Some(Role::Sessions) } else { Role::of(&assignment.name) }
    }

    /// References to other names of the file are replaced, as the usual readers do; others stay.
    fn expanded(&self, assignment: &Assignment) -> Secret<String> {
        let mut value = Secret::new(assignment.value.expose().clone());
        if assignment.quote == Some('\'') {
            return value;
        }
        for _ in 0..REFERENCES_DEEP_MAX {
            if !value.expose().contains('$') || value.expose().len() > VALUE_BYTES_MAX {
                break;
            }
            value = self.expanded_once(value.expose());
        }
        value
    }

    fn expanded_once(&self, text: &str) -> Secret<String> {
        let (mut expanded, mut rest) = (Secret::new(String::new()), text);
        while let Some((before, after)) = rest.split_once('$')
            && expanded.expose().len() <= VALUE_BYTES_MAX
        {
            expanded.expose_mut().push_str(before);
            let reference = Reference::at(after);
            let value = reference.as_ref().and_then(|it| self.value(it.name).or(it.preset));
            if let (Some(reference), Some(value)) = (reference, value) {
                expanded.expose_mut().push_str(value);
                rest = &after[reference.bytes..];
            } else {
                expanded.expose_mut().push('$');
                rest = after;
            }
        }
        expanded.expose_mut().push_str(rest);
        expanded
    }
}

/// `{NAME}`, `{NAME:-preset}` (also with `-`, `:?`, `?`) or `NAME`, behind a `$`.
struct Reference<'a> {
    name: &'a str,
    preset: Option<&'a str>,
    bytes: usize,
}

impl<'a> Reference<'a> {
    fn at(text: &'a str) -> Option<Self> {
        let name_of = |text: &'a str| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, _) = text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()));
            (!name.is_empty()).then_some(name)
        };
        let Some(braced) = text.strip_prefix('{') else {
            let name = name_of(text)?;
            return Some(Self { name, preset: None, bytes: name.len() });
        };
        let (inner, _) = braced.split_once('}')?;
        let name = name_of(inner)?;
        let behind = inner[name.len()..].trim_start_matches(':');
        Some(Self { name, preset: behind.strip_prefix('-'), bytes: inner.len() + 2 })
    }
}

fn duplicates(assignments: &[Assignment]) -> Vec<Finding> {
    let mut earlier: HashMap<&str, &Assignment> = HashMap::new();
    let mut findings = Vec::new();
    for one in assignments {
        let Some(before) = earlier.insert(&one.name, one) else { continue };
        if before.value.expose() != one.value.expose() {
            let line = before.line;
            let why = format!(
                "is set in line {line} to another value: most programs take this one, some the first"
            );
            findings.push(at(one, Finding::new("env-duplicate", Warn, why)));
        }
    }
    findings
}

fn environment(last: &Last<'_>) -> Environment {
    let value = ENVIRONMENTS.iter().find_map(|name| last.value(name));
    match value.map(|it| it.trim().to_ascii_lowercase()).as_deref() {
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
        let port = value.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let fix = port.unwrap_or(redis_url::PORT).to_string();
        let finding = Finding::new("kubernetes-service-link", Error, why).fix(fix);
        Finding { text: masked(value), ..finding }
    })
}

/// Whether a value of such a name is about Redis: a cache and a queue may be something else.
fn is_redis(assignment: &Assignment) -> bool {
    let value = assignment.value.expose().to_ascii_lowercase();
    assignment.name.contains("REDIS") || value.contains("redis") || value.contains("valkey")
}

#[cfg(test)]
mod tests;
