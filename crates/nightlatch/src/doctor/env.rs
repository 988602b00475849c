//! `doctor env`: what is wrong in a `.env` file, whoever's it is, without asking anybody.
//!
//! Names that are not of Redis and not of secrets are nobody's business here, unless the file is ours, and
//! neither is what an application sets elsewhere.

use std::collections::HashMap;
use std::path::Path;

use nightlatch_core::Secret;

use super::file_text::{self, Encoding};
use super::finding::Finding;
use super::machine::Machine;
use super::redis_urls::{Role, Seen};
use super::shown::{masked, rewritten};
use super::written::{Last, Place, Written};
use super::{beside, compose, ours, redis_settings, redis_text, redis_urls, secrets};
use crate::config::Environment;
use crate::config::ProblemLevel::{Error, Info, Warn};
use crate::config::env_file::{self, AS_COMMAND, AS_YAML, BadLine};
use crate::config::{redis_url, setting};

/// What applications call their environment, the likeliest first.
const ENVIRONMENTS: [&str; 6] =
    ["ENVIRONMENT", "DJANGO_ENV", "NODE_ENV", "RAILS_ENV", "APP_ENV", "FLASK_ENV"];

/// Characters that nobody sees, and that nobody means.
const INVISIBLE: [char; 7] =
    ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{00a0}', '\u{00ad}'];

/// Examines a file, and with it what this process was given, which wins.
#[must_use]
pub fn examine_env_file(path: &Path, with_environment: bool, machine: &Machine) -> Vec<Finding> {
    let (mut all, mut findings) = read_file(path);
    if with_environment {
        all.extend(Written::in_environment());
    }
    findings.extend(examine(&path.display().to_string(), &all, &findings));
    findings.extend(beside::examine(path, &all));
    findings.extend(compose::examine(path, &all));
    findings.extend(machine.examine(&all, &findings));
    findings
}

/// What a file says, and what is wrong with it before anything is made of that.
pub(super) fn read_file(path: &Path) -> (Vec<Written>, Vec<Finding>) {
    let source = path.display().to_string();
    let read = match file_text::read(path) {
        Ok(read) => read,
        Err(error) => {
            let why = format!("the file cannot be read: {error}");
            let finding = in_file(&source, Finding::new("env-file-missing", Error, why));
            return (Vec::new(), vec![finding]);
        }
    };
    let (written, mut findings) = read_lines(&source, read.text.expose());
    findings.extend(of_encoding(read.encoding).map(|finding| in_file(&source, finding)));
    (written, findings)
}

fn in_file(source: &str, finding: Finding) -> Finding {
    Finding { source: Some(source.to_owned()), ..finding }
}

/// What a file says, and which of its lines say nothing or say it twice.
pub(super) fn read_lines(source: &str, text: &str) -> (Vec<Written>, Vec<Finding>) {
    let (assignments, bad_lines) = env_file::parse(text);
    let mut findings: Vec<Finding> =
        bad_lines.into_iter().map(|bad| in_file(source, of_line(bad))).collect();
    let written: Vec<Written> =
        assignments.into_iter().map(|it| Written::in_file(source, it)).collect();
    findings.extend(duplicates(&written));
    (written, findings)
}

fn of_encoding(encoding: Encoding) -> Option<Finding> {
    let (id, level, why) = match encoding {
        Encoding::Utf8 => return None,
        Encoding::Utf8WithMark => {
            let why = "begins with a byte order mark, which some programs take for part of the \
                       first name";
            ("env-byte-order-mark", Info, why)
        }
        Encoding::Utf16(..) => ("env-encoding", Error, "is UTF-16, which next to no program reads"),
        Encoding::Latin1 => {
            let why = "is not UTF-8: characters beyond ASCII come out as others";
            ("env-encoding", Warn, why)
        }
    };
    Some(Finding::new(id, level, why))
}

/// Examines settings, of which the later of one name holds, and some things are told already.
pub(super) fn examine(source: &str, all: &[Written], told: &[Finding]) -> Vec<Finding> {
    let last = Last::of(all);
    let environment = environment(&last);
    let (mut findings, mut seen) = (Vec::new(), Vec::new());
    for &written in last.in_order() {
        let role = role(&last, written);
        if role.is_some() || secrets::is_signing(&written.name) {
            findings.extend(invisible(written).map(|finding| at(written, finding)));
        }
        findings.extend(service_link(written).map(|finding| at(written, finding)));
        let Some(role) = role.filter(|_| is_redis(written)) else { continue };
        let value = last.expanded(written);
        let examined = redis_text::examine(&written.name, value.expose());
        findings.extend(examined.findings.into_iter().map(|finding| at(written, finding)));
        seen.extend(examined.url.map(|url| Seen { written, role, url }));
    }
    let together = redis_urls::examine(&seen).into_iter();
    let together = together.chain(secrets::examine(last.in_order(), environment));
    let together = together.chain(redis_settings::examine(&last));
    findings.extend(together.map(|(written, finding)| at(written, finding)));
    if ours::are_ours(all) {
        let told = [told, &findings].concat();
        findings.extend(ours::examine(source, &last, &told));
    }
    findings
}

/// A line that this program skips. Others take names with dots and dashes, and names alone.
fn of_line(bad: BadLine) -> Finding {
    let is_foreign = |name: &str| {
        let is_known =
            Role::of(name).is_some() || secrets::is_signing(name) || setting::find(name).is_some();
        [AS_YAML, AS_COMMAND].contains(&bad.why) && !is_known
    };
    let level = match &bad.name {
        Some(name) if !is_foreign(name) => Warn,
        Some(_) | None => Info,
    };
    let finding = Finding::new("env-line", level, format!("cannot be read: {}", bad.why));
    Finding { name: bad.name, line: Some(bad.line), ..finding }
}

/// The finding, where its setting stands, and its fix as a line.
pub(super) fn at(written: &Written, finding: Finding) -> Finding {
    let name = &written.name;
    let Place { source, line, column } = written.place.clone();
    let fix = finding.fix.map(|value| format!("{name}={value}"));
    let column = finding.column.or(column);
    let was = Some(written.value.clone());
    Finding { name: Some(name.clone()), source, line, column, fix, was, ..finding }
}

/// What a URL is for. In a file of ours `REDIS_URL` holds sessions; elsewhere nobody knows.
pub(super) fn role(last: &Last<'_>, written: &Written) -> Option<Role> {
    let is_for_sessions = last.has("SESSION_SECRET_KEY") && written.name == "REDIS_URL";
    if is_for_sessions { Some(Role::Sessions) } else { Role::of(&written.name) }
}

fn duplicates(all: &[Written]) -> Vec<Finding> {
    let mut earlier: HashMap<&str, &Written> = HashMap::new();
    let mut findings = Vec::new();
    for one in all {
        let Some(before) = earlier.insert(&one.name, one) else { continue };
        if before.value.expose() != one.value.expose() {
            let line = before.place.line.unwrap_or_default();
            let why = format!(
                "is set in line {line} to another value: most programs take this one, some the first"
            );
            findings.push(at(one, Finding::new("env-duplicate", Warn, why)));
        }
    }
    findings
}

fn environment(last: &Last<'_>) -> Environment {
    stated(last).map_or(Environment::Development, |(environment, _)| environment)
}

/// The environment that is named, and where.
pub(super) fn stated<'a>(last: &Last<'a>) -> Option<(Environment, &'a Written)> {
    let written = ENVIRONMENTS.iter().find_map(|name| last.find(name))?;
    let environment = match written.value.expose().trim().to_ascii_lowercase().as_str() {
        "" => return None,
        "development" | "dev" | "local" | "test" | "testing" => Environment::Development,
        "staging" | "stage" => Environment::Staging,
        // Whatever else it says, the strict one.
        _ => Environment::Production,
    };
    Some((environment, written))
}

fn invisible(written: &Written) -> Option<Finding> {
    let value = written.value.expose();
    let place = value.chars().position(|c| INVISIBLE.contains(&c))?;
    let code = value.chars().nth(place).map_or(0, u32::from);
    let quote = usize::from(written.quote.is_some());
    let why = format!("holds the invisible character U+{code:04X}, pasted from a page or a mail");
    let column = written.place.column.map(|column| column + quote + place);
    // In a secret it counts: what was signed with it would be good no more.
    let visible = Secret::new(value.chars().filter(|c| !INVISIBLE.contains(c)).collect::<String>());
    let bare = redis_url::unwrapped(visible.expose()).1;
    let url = redis_url::parse(bare).ok().filter(|_| is_redis(written));
    let fix = url.as_ref().and_then(|url| rewritten(url, bare));
    let correction = url.map(|_| visible);
    Some(Finding { column, fix, correction, ..Finding::new("value-invisible", Error, why) })
}

/// What Kubernetes sets for a service of the name `redis`: it wins over what was meant.
fn service_link(written: &Written) -> Option<Finding> {
    let is_port = written.name.ends_with("REDIS_PORT");
    let value = written.value.expose();
    (is_port && value.starts_with("tcp://")).then(|| {
        let why = "is a service link of Kubernetes where a number belongs; \
                   `enableServiceLinks: false` in the pod keeps them away";
        let port = value.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let fix = port.unwrap_or(redis_url::PORT).to_string();
        let correction = Some(Secret::new(fix.clone()));
        let finding = Finding::new("kubernetes-service-link", Error, why).fix(fix);
        Finding { text: masked(value), correction, ..finding }
    })
}

/// Whether a value of such a name is about Redis: a cache and a queue may be something else.
pub(super) fn is_redis(written: &Written) -> bool {
    let value = written.value.expose().to_ascii_lowercase();
    written.name.contains("REDIS") || value.contains("redis") || value.contains("valkey")
}

#[cfg(test)]
mod tests;
