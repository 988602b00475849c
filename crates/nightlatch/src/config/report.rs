//! What is to be said about the configuration: what is in force and from where, and what is wrong.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::problem::{Problem, ProblemLevel};
use super::setting::Setting;
use super::{Config, Database, Origin};

/// Everything there is to say about what was read.
#[derive(Clone, Debug)]
pub struct Report {
    /// What is wrong, in the order it was found.
    pub problems: Vec<Problem>,
    /// Every setting of the table, in its order.
    pub in_force: Vec<InForce>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Env files that lie beside the one that was read, and were not read.
    pub other_env_files: Vec<PathBuf>,
}

/// A setting as it is in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Which.
    pub setting: &'static Setting,
    /// Its value, as far as it may be seen.
    pub value: Shown,
    /// Where it came from.
    pub origin: Origin,
}

/// A value, as far as it may be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The value.
    Text(String),
    /// A secret that is set.
    Set,
    /// Nothing is set; what holds instead, in words.
    NotSet(&'static str),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Set => f.write_str("set"),
            Self::NotSet(words) => write!(f, "not set ({words})"),
        }
    }
}

impl Report {
    /// Whether something is wrong that login cannot do without.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.problems.iter().any(|problem| problem.level == ProblemLevel::Error)
    }

    /// The block that a start begins with, a line each: the address to open, and where the
    /// settings of database, Redis and secrets came from.
    #[must_use]
    pub fn start_block(&self, config: &Config, bound: SocketAddr) -> Vec<String> {
        let mut lines = vec![format!(
            "Nightlatch ({}) listens on {bound}; open {}",
            config.environment,
            config.web.public_origin(bound)
        )];
        lines.push(format!("files read: {}", self.files_read()));
        let database = match &config.database {
            Database::Sqlite { .. } => &["DATABASE_URL"][..],
            Database::Postgres(_) => &["DATABASE_URL", "DATABASE_PASSWORD", "DATABASE_SCHEMA"][..],
        };
        lines.push(format!("database: {}", self.settings_line(database)));
        lines.push(format!("Redis: {}", self.settings_line(&["REDIS_URL", "REDIS_HOST"])));
        let secrets = &["SESSION_SECRET_KEY", "CSRF_SECRET_KEY"];
        lines.push(format!("secrets: {}", self.settings_line(secrets)));
        lines
    }

    /// A warning when another env file lies beside the one that was read.
    #[must_use]
    pub fn env_file_warning(&self) -> Option<String> {
        if self.other_env_files.is_empty() {
            return None;
        }
        let others: Vec<_> = self.other_env_files.iter().map(|p| p.display().to_string()).collect();
        Some(format!(
            "{} not read, though there (read: {}). `--env-file FILE` chooses another",
            others.join(", "),
            self.files_read()
        ))
    }

    fn files_read(&self) -> String {
        let files: Vec<_> = self.files.iter().map(|path| path.display().to_string()).collect();
        if files.is_empty() { "none".to_owned() } else { files.join(", ") }
    }

    fn settings_line(&self, names: &[&str]) -> String {
        let of_names = self.in_force.iter().filter(|f| names.contains(&f.setting.name));
        let parts: Vec<_> = of_names
            .map(|InForce { setting, value, origin }| match value {
                Shown::NotSet(_) => format!("{} {value}", setting.name),
                Shown::Text(_) | Shown::Set => format!("{} {value} ({origin})", setting.name),
            })
            .collect();
        parts.join(", ")
    }
}
