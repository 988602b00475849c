//! The setting that says where the record is, and what the configuration has to say of it already.

use super::super::finding::Finding;
use super::url;
use crate::config::{Environment, Loaded, Origin, Problem, ProblemLevel, Report, Shown};

/// The setting.
pub(super) const URL: &str = "DATABASE_URL";

/// Where the record is, and where that is said.
pub(super) struct Subject {
    source: Option<String>,
    line: Option<usize>,
    shown: String,
    origin: Origin,
    pub(super) environment: Environment,
}

impl Subject {
    pub(super) fn of(loaded: &Loaded) -> Self {
        let mut in_force = loaded.report.in_force.iter();
        let url = in_force.find(|it| it.setting.name == URL);
        let shown = url.map(|it| &it.value).and_then(|value| match value {
            Shown::Text(text) => Some(text.clone()),
            Shown::Set | Shown::NotSet(_) => None,
        });
        let origin = url.map_or(Origin::Default, |it| it.origin.clone());
        let (source, line) = origin.place();
        let environment = loaded.config.environment;
        Self { source, line, shown: shown.unwrap_or_default(), origin, environment }
    }

    /// The URL without its secrets.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// A finding about it, where its setting stands.
    pub(super) fn told(&self, finding: Finding) -> Finding {
        let text = finding.text.or_else(|| Some(self.shown.clone()));
        let name = finding.name.or_else(|| Some(URL.to_owned()));
        Finding { name, source: self.source.clone(), line: self.line, text, ..finding }
    }

    /// The line with another URL, made of the one that is shown. `None`: it would hold what is not.
    pub(super) fn line(&self, change: impl FnOnce(&str) -> String) -> Option<String> {
        let url = change(&url::with_placeholder(&self.shown));
        (!url.contains("***")).then(|| self.origin.line_setting(URL, &url))
    }
}

/// What the server itself says of the settings of the database.
pub(super) fn problems(report: &Report) -> Vec<Finding> {
    let is_ours =
        |name: &Option<String>| name.as_deref().is_some_and(|name| name.starts_with("DATABASE_"));
    let of_one = |problem: &Problem| {
        let (source, line) = problem.origin.place();
        let (name, fix) = (problem.name.clone(), problem.fix.clone());
        let id = match problem.level {
            ProblemLevel::Error => "database-url-unreadable",
            ProblemLevel::Warn | ProblemLevel::Info => "database-setting-doubtful",
        };
        let finding = Finding::new(id, problem.level, problem.why.clone());
        Finding { name, source, line, fix, ..finding }
    };
    report.problems.iter().filter(|problem| is_ours(&problem.name)).map(of_one).collect()
}
