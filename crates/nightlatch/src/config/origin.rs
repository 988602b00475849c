//! Where a value came from.
//!
//! "The wrong `.env` was read" is found in a minute when every value can say file and line, and
//! the corrected line is worth most in the syntax of the place it belongs to.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The program that embeds the server.
    Given,
    /// A line of `nightlatch.toml`.
    Toml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A line of an env file.
    EnvFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The process's environment.
    Environment,
    /// A flag of the command line.
    Flag(&'static str),
    /// The file that `NAME_FILE` names.
    ValueFile {
        /// The file.
        path: PathBuf,
        /// Where `NAME_FILE` was set.
        named_by: Box<Self>,
    },
}

impl Origin {
    /// The line that sets `name` to `value` in this place.
    #[must_use]
    pub fn line_setting(&self, name: &str, value: &str) -> String {
        match self {
            Self::Default | Self::Given | Self::EnvFile { .. } => {
                format!("{name}={}", quoted_if_needed(value))
            }
            // What a shell or a service file needs around it differs; the value itself does not.
            Self::Environment => format!("{name}={value}"),
            Self::Toml { .. } => format!("{name} = {value:?}"),
            Self::Flag(flag) => format!("{flag} {value}"),
            Self::ValueFile { path, .. } => format!("{value} (in {})", path.display()),
        }
    }

    /// The file and the line, where there are any.
    #[must_use]
    pub fn place(&self) -> (Option<String>, Option<usize>) {
        match self {
            Self::Default | Self::Given | Self::Environment | Self::Flag(_) => (None, None),
            Self::Toml { path, line } | Self::EnvFile { path, line } => {
                (Some(path.display().to_string()), Some(*line))
            }
            Self::ValueFile { path, .. } => (Some(path.display().to_string()), None),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Given => f.write_str("given by the program"),
            Self::Toml { path, line } | Self::EnvFile { path, line } => {
                write!(f, "{}:{line}", path.display())
            }
            Self::Environment => f.write_str("environment"),
            Self::Flag(flag) => f.write_str(flag),
            Self::ValueFile { path, named_by } => {
                write!(f, "{}, named by {named_by}", path.display())
            }
        }
    }
}

fn quoted_if_needed(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '#' | '$' | '\\');
    if value.chars().all(is_plain) { value.to_owned() } else { format!("\"{value}\"") }
}
