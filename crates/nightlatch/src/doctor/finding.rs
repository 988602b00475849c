//! A finding: one thing that is wrong, said so that a person can put it right.

use nightlatch_core::Secret;
use serde::Serialize;

use crate::config::ProblemLevel;

/// One thing that is wrong, or good to know.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is: a page of `docs/findings.md`.
    pub id: &'static str,
    /// How bad it is.
    pub level: ProblemLevel,
    /// The setting, where it is about one.
    pub name: Option<String>,
    /// The file.
    pub source: Option<String>,
    /// The line there, from 1.
    pub line: Option<usize>,
    /// Where in that line, in characters from 1.
    pub column: Option<usize>,
    /// What stands there, without its secrets.
    pub text: Option<String>,
    /// Why it does not work.
    pub why: String,
    /// The corrected line, with `PASSWORD` for a secret; or a command.
    pub fix: Option<String>,
    /// What is to be done with it.
    pub remedy: Remedy,
    /// The corrected value itself, where it may be written without asking: nothing shows it.
    pub correction: Option<Secret<String>>,
    /// The value that it takes the place of: another one that somebody wrote meanwhile stays.
    pub was: Option<Secret<String>>,
    /// What the file should say of another setting, where it says nothing of it.
    pub addition: Option<Addition>,
}

/// A line that is missing in a file, and may be written without asking.
#[derive(Clone, Debug)]
pub struct Addition {
    /// The setting.
    pub name: String,
    /// `None`: a new secret, which is made when it is written.
    pub value: Option<Secret<String>>,
}

/// What is to be done with what puts it right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It stands in a file from now on.
    Write,
    /// It is a command or a statement.
    Run,
}

impl Finding {
    /// About nothing yet but itself.
    #[must_use]
    pub fn new(id: &'static str, level: ProblemLevel, why: impl Into<String>) -> Self {
        Self {
            id,
            level,
            name: None,
            source: None,
            line: None,
            column: None,
            text: None,
            why: why.into(),
            fix: None,
            remedy: Remedy::Write,
            correction: None,
            was: None,
            addition: None,
        }
    }

    /// Whether something may be written without asking.
    #[must_use]
    pub const fn has_correction(&self) -> bool {
        self.correction.is_some() || self.addition.is_some()
    }

    /// Says what to write instead: it must hold no secret.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    /// Says what to run instead, in a shell or at the server: it must hold no secret.
    #[must_use]
    pub fn run(self, command: impl Into<String>) -> Self {
        Self { fix: Some(command.into()), remedy: Remedy::Run, ..self }
    }
}

/// A finding as JSON has it.
#[derive(Debug, Serialize)]
pub struct FindingJson<'a> {
    id: &'a str,
    level: &'a str,
    name: Option<&'a str>,
    source: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    text: Option<&'a str>,
    why: &'a str,
    fix: Option<&'a str>,
}

impl<'a> From<&'a Finding> for FindingJson<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            id: finding.id,
            level: finding.level.as_str(),
            name: finding.name.as_deref(),
            source: finding.source.as_deref(),
            line: finding.line,
            column: finding.column,
            text: finding.text.as_deref(),
            why: &finding.why,
            fix: finding.fix.as_deref(),
        }
    }
}
