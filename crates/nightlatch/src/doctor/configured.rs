//! A setting that says where something is, as the server would take it.
//!
//! Doctor does not read it anew: what the configuration has to say of it is said in its words.

use nightlatch_core::Secret;

use super::finding::Finding;
use super::ours::taken_for;
use super::sources::Sources;
use super::written::{Last, Written};
use crate::config::redis_url::unwrapped;
use crate::config::{Environment, Origin, Problem, Shown};

/// Where something is, and where that is said.
pub(super) struct Configured {
    name: &'static str,
    source: Option<String>,
    line: Option<usize>,
    shown: String,
    origin: Origin,
    /// As it was written.
    was: Option<Secret<String>>,
    pub(super) environment: Environment,
}

impl Configured {
    pub(super) fn of(sources: &Sources, name: &'static str) -> Self {
        let loaded = &sources.loaded;
        let mut in_force = loaded.report.in_force.iter();
        let url = in_force.find(|it| it.setting.name == name);
        let shown = url.map(|it| &it.value).and_then(|value| match value {
            Shown::Text(text) => Some(text.clone()),
            Shown::Set | Shown::NotSet(_) => None,
        });
        let origin = url.map_or(Origin::Default, |it| it.origin.clone());
        let (source, line) = origin.place();
        let environment = loaded.config.environment;
        let was = Last::of(&sources.written).find(name).map(|it| it.value.clone());
        Self { name, source, line, shown: shown.unwrap_or_default(), origin, was, environment }
    }

    /// The URL without its secrets.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// A finding about it, where its setting stands. One that has a name is about that.
    pub(super) fn told(&self, finding: Finding) -> Finding {
        if finding.name.is_some() {
            return finding;
        }
        let text = finding.text.or_else(|| (!self.shown.is_empty()).then(|| self.shown.clone()));
        let (name, was) = (Some(self.name.to_owned()), self.was.clone());
        Finding { name, source: self.source.clone(), line: self.line, text, was, ..finding }
    }

    /// What stands there with a part of it changed, to be written there and nowhere else. `None`: nothing
    /// of one's own can be made of it.
    pub(super) fn corrected(
        &self,
        change: impl FnOnce(&str) -> Option<String>,
    ) -> Option<Secret<String>> {
        let (_, bare) = unwrapped(self.was.as_ref()?.expose());
        change(bare).map(Secret::new)
    }

    /// The line with this URL, of which its password is not shown.
    pub(super) fn line_of(&self, shown: &str) -> Option<String> {
        self.line_with(&with_placeholder(shown))
    }

    /// The line with another URL, made of the one that is shown, with `PASSWORD` for its password. `None`: it
    /// would hold what else is not shown.
    pub(super) fn line(&self, change: impl FnOnce(&str) -> Option<String>) -> Option<String> {
        self.line_with(&change(&with_placeholder(&self.shown))?)
    }

    fn line_with(&self, url: &str) -> Option<String> {
        (!url.contains("***")).then(|| self.origin.line_setting(self.name, url))
    }
}

/// What the server itself says of the settings whose names begin so.
pub(super) fn problems(sources: &Sources, prefixes: &[&str]) -> Vec<Finding> {
    let last = Last::of(&sources.written);
    let is_meant = |name: &Option<String>| {
        name.as_deref().is_some_and(|name| prefixes.iter().any(|it| name.starts_with(it)))
    };
    let of_one = |problem: &Problem| {
        let (source, line) = problem.origin.place();
        let (name, fix) = (problem.name.clone(), problem.fix.clone());
        let finding = Finding::new(problem.id, problem.level, problem.why.clone());
        let written = name.as_deref().and_then(|name| last.find(name));
        let correction = written.and_then(|it: &Written| taken_for(problem.id, it));
        let was = written.map(|it| it.value.clone());
        Finding { name, source, line, fix, correction, was, ..finding }
    };
    sources
        .loaded
        .report
        .problems
        .iter()
        .filter(|problem| is_meant(&problem.name))
        .map(of_one)
        .collect()
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
