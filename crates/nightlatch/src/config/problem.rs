//! What is wrong with the configuration, said so that a person can put it right.
//!
//! What happened, why, what to write instead. A secret's value is never part of it.

use std::fmt;

use thiserror::Error;

use super::{Origin, Report};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is: a page of `docs/findings.md`.
    pub id: &'static str,
    /// How bad it is.
    pub level: ProblemLevel,
    /// The setting; none where a line could not be read at all.
    pub name: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// What is wrong, and what was done about it.
    pub why: String,
    /// The corrected line.
    pub fix: Option<String>,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemLevel {
    /// Good to know.
    Info,
    /// Left out or dangerous; the service runs.
    Warn,
    /// Login cannot do without it: nothing starts.
    Error,
}

impl ProblemLevel {
    /// The word for JSON and the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) if self.origin == Origin::Default => {
                write!(f, "{name} (not set): {}", self.why)?;
            }
            Some(name) => write!(f, "{name} ({}): {}", self.origin, self.why)?,
            None => write!(f, "{}: {}", self.origin, self.why)?,
        }
        match &self.fix {
            Some(fix) => write!(f, ". Write: {fix}"),
            None => Ok(()),
        }
    }
}

/// The configuration is not fit to serve logins. Names every fatal mistake at once.
#[derive(Debug, Error)]
pub struct ConfigErrors {
    /// Everything that was found, what is not fatal included.
    pub report: Report,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (errors, others): (Vec<_>, Vec<_>) =
            self.report.problems.iter().partition(|p| p.level == ProblemLevel::Error);
        let noun = if errors.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "the configuration has {} {noun} that login cannot do without:", errors.len())?;
        for error in errors {
            write!(f, "\n  {error}")?;
        }
        if !others.is_empty() {
            // One of them may be the cause: a misspelt ENVIRONMENT is production.
            write!(f, "\nbesides, nothing fatal:")?;
            for other in others {
                write!(f, "\n  {other}")?;
            }
        }
        // What is missing may stand in a file that nobody named.
        match self.report.env_file_warning() {
            Some(warning) => write!(f, "\n{warning}"),
            None => Ok(()),
        }
    }
}
