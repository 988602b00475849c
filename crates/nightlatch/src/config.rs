//! The configuration: every setting of the contract, parsed into what the code works with.
//!
//! A login service that dies of a misspelt colour, or that starts with a misspelt secret, is no
//! use. So only what login cannot do without is fatal, and then all of it is named at once; the
//! rest is reported with the corrected line and left out. Each section has its own file, which
//! holds the struct and reads it.

mod database;
mod environment;
mod limits;
mod log;
mod session;
mod throttle;
mod web;
mod web_origin;

pub use database::{Database, PostgresDatabase};
pub use environment::Environment;
pub use limits::LimitsConfig;
pub use log::{LogConfig, LogFormat, LogLevel};
pub use session::{SameSite, SessionConfig};
pub use throttle::ThrottleConfig;
pub use web::{Registration, WebConfig};
pub use web_origin::{Scheme, WebOrigin, WebOriginError};

use nightlatch_core::MasterKeys;

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
    /// What tokens are signed with.
    pub secrets: SecretsConfig,
    /// Sessions and their cookie.
    pub session: SessionConfig,
    /// How many tries are allowed.
    pub throttle: ThrottleConfig,
    /// How long things may take.
    pub limits: LimitsConfig,
    /// The log.
    pub log: LogConfig,
}

/// The secrets that were configured.
#[derive(Clone, Debug)]
pub struct SecretsConfig {
    /// `SESSION_SECRET_KEY`, the signing one first. `None` (never in production): to be generated
    /// and kept.
    pub session: Option<MasterKeys>,
    /// `CSRF_SECRET_KEY`. `None`: derived from the session secret.
    pub csrf: Option<MasterKeys>,
}
