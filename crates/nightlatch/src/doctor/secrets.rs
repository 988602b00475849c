//! Secrets of one file: placeholders, weak ones, and the same one for two purposes.

use super::finding::{Addition, Finding};
use super::written::Written;
use crate::config::ProblemLevel::{Error, Warn};
use crate::config::{Environment, SECRET_EXAMPLE, secrets};

/// Names of secrets that sign, as frameworks and their guides have them.
const SIGNING: [&str; 8] = [
    "SESSION_SECRET_KEY",
    "CSRF_SECRET_KEY",
    "SECRET_KEY",
    "DJANGO_SECRET_KEY",
    "SECRET_KEY_BASE",
    "JWT_SECRET",
    "JWT_SECRET_KEY",
    "SESSION_SECRET",
];

/// Ours, of which it is known how long they must be.
const OURS: [&str; 2] = [SESSIONS, FORMS];
const SESSIONS: &str = "SESSION_SECRET_KEY";
const FORMS: &str = "CSRF_SECRET_KEY";

/// Examines them together. Each finding comes with the setting that it is about.
pub(super) fn examine<'a>(
    all: &[&'a Written],
    environment: Environment,
) -> Vec<(&'a Written, Finding)> {
    let level = if environment.is_production() { Error } else { Warn };
    let secrets: Vec<&Written> = all
        .iter()
        .copied()
        .filter(|it| is_signing(&it.name) && !it.value.expose().is_empty() && !is_reference(it))
        .collect();
    let mut findings = Vec::new();
    for (at, one) in secrets.iter().enumerate() {
        let is_ours = OURS.contains(&one.name.as_str());
        let mut items = one.value.expose().split(',').map(str::trim);
        // What others hold against guessing is known to them; a placeholder in production is not.
        let is_worth_it =
            |item: &str| is_ours || environment.is_production() && secrets::is_placeholder(item);
        let weak = items.find_map(|item| secrets::weakness(item).filter(|_| is_worth_it(item)));
        if let Some(why) = weak {
            let addition = renewed(one, environment);
            let finding = Finding::new("secret-weak", level, why).fix(SECRET_EXAMPLE);
            findings.push((*one, Finding { addition, ..finding }));
        }
        let twin = secrets[..at].iter().find(|it| it.name != one.name && same(it, one));
        if let Some(twin) = twin {
            let why = format!("is the same as {}: who learns one has both", twin.name);
            let level = if is_ours { level } else { Warn };
            let addition = renewed(one, environment);
            let finding = Finding::new("secret-shared", level, why).fix(SECRET_EXAMPLE);
            findings.push((*one, Finding { addition, ..finding }));
        }
    }
    findings
}

/// A new secret in the place of one with which nothing was signed that is to last: forms, or what no server of
/// production starts with.
fn renewed(one: &Written, environment: Environment) -> Option<Addition> {
    let is_unused = || environment.is_production() && secrets::is_placeholder(one.value.expose());
    let may_go = match one.name.as_str() {
        FORMS => true,
        SESSIONS => is_unused() && !one.value.expose().contains(','),
        _ => false,
    };
    may_go.then(|| Addition { name: one.name.clone(), value: None })
}

pub(super) fn is_signing(name: &str) -> bool {
    SIGNING.contains(&name)
}

/// What stands elsewhere is judged there.
fn is_reference(it: &Written) -> bool {
    let value = it.value.expose();
    it.quote != Some('\'') && (value.starts_with("${") || value.starts_with("$("))
}

fn same(one: &Written, other: &Written) -> bool {
    // A reference may lead to two values.
    one.value.expose() == other.value.expose() && !one.value.expose().contains('$')
}
