//! Where the server runs.
//!
//! One word decides on error detail, retries, cookie security and what is required, so that
//! nobody has to harden a dozen switches one by one.

use std::fmt;

use super::setting::Form;
use super::value::{self, Wrong};

/// Development, staging or production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine: everything works without a setting.
    Development,
    /// Like production, with detail in errors.
    Staging,
    /// Real users. A misspelt environment is this one.
    Production,
}

impl Environment {
    pub(super) fn parse(text: &str, form: Form) -> Result<Self, Wrong> {
        Ok(match value::word_of(text, form)? {
            "development" => Self::Development,
            "staging" => Self::Staging,
            _ => Self::Production,
        })
    }

    /// Whether this is production.
    #[must_use]
    pub fn is_production(self) -> bool {
        self == Self::Production
    }

    /// Whether this is development.
    #[must_use]
    pub fn is_development(self) -> bool {
        self == Self::Development
    }

    /// The word for settings, logs and `debug_info`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
