//! The configuration: every setting of the contract, parsed into what the code works with.
//!
//! A login service that dies of a misspelt colour, or that starts with a misspelt secret, is no
//! use. So only what login cannot do without is fatal, and then all of it is named at once; the
//! rest is reported with the corrected line and left out. Each section has its own file, which
//! holds the struct and reads it; [`setting`] is the one table of names, defaults and meanings.

mod auth_service;
mod database;
pub(crate) mod env_file;
mod environment;
pub mod key_file;
mod limits;
mod log;
mod origin;
pub(crate) mod percent;
pub(crate) mod postgres_url;
mod problem;
mod reader;
mod redis;
pub(crate) mod redis_url;
mod reference;
mod report;
pub(crate) mod resolve;
pub mod secrets;
mod session;
pub mod setting;
pub(crate) mod source;
mod throttle;
mod token;
mod toml_file;
mod traces;
pub(crate) mod value;
mod web;
mod web_origin;

use std::path::Path;
use std::time::Duration;

pub use auth_service::{AuthServiceConfig, SUBJECT, ServiceCredentials};
pub(crate) use database::is_of_postgres;
pub use database::{Database, PostgresDatabase};
pub use environment::Environment;
pub use limits::LimitsConfig;
pub use log::{LogConfig, LogFormat, LogLevel};
pub use origin::Origin;
pub use problem::{ConfigErrors, Problem, ProblemLevel};
pub use redis::RedisConfig;
pub use reference::reference;
pub use report::{InForce, Report, Shown};
pub use secrets::SecretsConfig;
pub use session::{SameSite, SessionConfig};
pub use source::LoadArgs;
pub use throttle::ThrottleConfig;
pub use token::TokenConfig;
pub use traces::{Sampling, TracesConfig};
pub use web::{Registration, WebConfig};
pub use web_origin::{Scheme, WebOrigin, WebOriginError};

use reader::Reader;
use source::{Assigned, Gathered};

/// Everything that this release is configured by.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where this runs: decides on error detail, cookie security and what is required.
    pub environment: Environment,
    /// Addresses, origins and what the HTTP layer trusts.
    pub web: WebConfig,
    /// Whether strangers may register.
    pub registration: Registration,
    /// The record.
    pub database: Database,
    /// The accelerator, if there is one.
    pub redis: Option<RedisConfig>,
    /// The service that logins are delegated to, if they are.
    pub auth_service: Option<AuthServiceConfig>,
    /// What tokens are signed with.
    pub secrets: SecretsConfig,
    /// Sessions and their cookie.
    pub session: SessionConfig,
    /// Tokens of clients without cookies.
    pub tokens: TokenConfig,
    /// How many tries are allowed.
    pub throttle: ThrottleConfig,
    /// How long things may take.
    pub limits: LimitsConfig,
    /// The log.
    pub log: LogConfig,
    /// How long entries of the audit log are kept.
    pub audit_retention: Duration,
    /// Traces, if there are any.
    pub traces: Option<TracesConfig>,
}

/// A configuration to start with, and what there is to say about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is in force, from where, and what was left out.
    pub report: Report,
}

impl Config {
    /// Reads all sources, relative to the working directory.
    ///
    /// # Errors
    /// [`ConfigErrors`] names everything that login cannot do without, at once.
    pub fn load(args: &LoadArgs) -> Result<Loaded, ConfigErrors> {
        Self::from_gathered(Gathered::read(args, Path::new(""), source::environment()))
    }

    /// Takes values as the environment would give them, and reads nothing else.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_values<'a>(
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Loaded, ConfigErrors> {
        Self::from_gathered(Gathered::given(values))
    }

    /// What is in force and what is wrong with it, whether or not anything could start with it.
    ///
    /// Of all sources, relative to the working directory; of a file that is named alone, if `is_alone`.
    #[must_use]
    pub fn examine(args: &LoadArgs, is_alone: bool) -> Loaded {
        Self::read_all(match &args.env_file {
            Some(path) if is_alone => Gathered::of_file(path),
            Some(_) | None => Gathered::read(args, Path::new(""), source::environment()),
        })
    }

    /// What is wrong with settings that were read of one file. Values are not quoted.
    pub(crate) fn judge<'a>(
        path: &Path,
        assigned: impl IntoIterator<Item = Assigned<'a>>,
    ) -> Report {
        Self::read_all(Gathered::of_assigned(path, assigned)).report
    }

    /// Values as the environment would give them, whether or not anything could start with them.
    pub(crate) fn examine_values<'a>(
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Loaded {
        Self::read_all(Gathered::given(values))
    }

    fn from_gathered(gathered: Gathered) -> Result<Loaded, ConfigErrors> {
        let loaded = Self::read_all(gathered);
        if loaded.report.is_fatal() {
            return Err(ConfigErrors { report: loaded.report });
        }
        Ok(loaded)
    }

    fn read_all(gathered: Gathered) -> Loaded {
        let mut reader = Reader::new(resolve::resolve(gathered));
        let web = WebConfig::read(&mut reader);
        let config = Self {
            environment: reader.environment(),
            registration: Registration::read(&mut reader),
            database: Database::read(&mut reader),
            redis: RedisConfig::read(&mut reader),
            auth_service: AuthServiceConfig::read(&mut reader),
            secrets: SecretsConfig::read(&mut reader),
            session: SessionConfig::read(&mut reader, web.public_url.as_ref()),
            tokens: TokenConfig::read(&mut reader, web.public_url.as_ref()),
            throttle: ThrottleConfig::read(&mut reader),
            limits: LimitsConfig::read(&mut reader),
            log: LogConfig::read(&mut reader),
            audit_retention: reader.required("NIGHTLATCH_AUDIT_RETENTION", value::seconds),
            traces: TracesConfig::read(&mut reader),
            web,
        };
        Loaded { config, report: reader.finish() }
    }
}

/// What a corrected line shows in place of a secret.
pub(crate) const SECRET_EXAMPLE: &str = "<the output of: openssl rand -base64 48>";

#[cfg(test)]
mod tests;
