//! A setting that says where something is, as the server would take it.
//!
//! Doctor does not read it anew: what the configuration has to say of it is said in its words.

use super::finding::Finding;
use crate::config::{Environment, Loaded, Origin, Problem, Report, Shown};

/// Where something is, and where that is said.
pub(super) struct Configured {
    name: &'static str,
    source: Option<String>,
    line: Option<usize>,
    shown: String,
    origin: Origin,
    pub(super) environment: Environment,
}

impl Configured {
    pub(super) fn of(loaded: &Loaded, name: &'static str) -> Self {
        let mut in_force = loaded.report.in_force.iter();
        let url = in_force.find(|it| it.setting.name == name);
        let shown = url.map(|it| &it.value).and_then(|value| match value {
            Shown::Text(text) => Some(text.clone()),
            Shown::Set | Shown::NotSet(_) => None,
        });
        let origin = url.map_or(Origin::Default, |it| it.origin.clone());
        let (source, line) = origin.place();
        let environment = loaded.config.environment;
        Self { name, source, line, shown: shown.unwrap_or_default(), origin, environment }
    }

    /// The URL without its secrets.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// A finding about it, where its setting stands.
    pub(super) fn told(&self, finding: Finding) -> Finding {
        let text = finding.text.or_else(|| Some(self.shown.clone()));
        let name = finding.name.or_else(|| Some(self.name.to_owned()));
        Finding { name, source: self.source.clone(), line: self.line, text, ..finding }
    }

    /// The line with another URL, made of the one that is shown, with `PASSWORD` for its password. `None`: it
    /// would hold what else is not shown.
    pub(super) fn line(&self, change: impl FnOnce(&str) -> String) -> Option<String> {
        let url = change(&with_placeholder(&self.shown));
        (!url.contains("***")).then(|| self.origin.line_setting(self.name, &url))
    }
}

/// What the server itself says of the settings whose names begin so.
pub(super) fn problems(report: &Report, prefixes: &[&str]) -> Vec<Finding> {
    let is_meant = |name: &Option<String>| {
        name.as_deref().is_some_and(|name| prefixes.iter().any(|it| name.starts_with(it)))
    };
    let of_one = |problem: &Problem| {
        let (source, line) = problem.origin.place();
        let (name, fix) = (problem.name.clone(), problem.fix.clone());
        let finding = Finding::new(problem.id, problem.level, problem.why.clone());
        Finding { name, source, line, fix, ..finding }
    };
    report.problems.iter().filter(|problem| is_meant(&problem.name)).map(of_one).collect()
}

/// The same with `PASSWORD` where the password is not shown.
fn with_placeholder(shown: &str) -> String {
    shown.replacen(":***@", ":PASSWORD@", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_not_shown_has_a_placeholder() {
        assert_eq!(with_placeholder("postgres://u:***@h"), "postgres://u:PASSWORD@h");
    }
}
