//! The log.

use super::reader::Reader;
use super::setting::Form;
use super::value::{self, Wrong};

/// What is logged, and how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least important level that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something needs a look.
    Warn,
    /// Something changed.
    Info,
    /// For finding a fault.
    Debug,
    /// Everything.
    Trace,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl LogConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            level: reader.required("LOG_LEVEL", LogLevel::parse),
            format: reader.required("LOG_FORMAT", LogFormat::parse),
        }
    }
}

impl LogLevel {
    fn parse(text: &str, form: Form) -> Result<Self, Wrong> {
        Ok(match value::word_of(text, form)? {
            "error" => Self::Error,
            "warn" => Self::Warn,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => Self::Info,
        })
    }
}

impl LogFormat {
    fn parse(text: &str, form: Form) -> Result<Self, Wrong> {
        Ok(if value::word_of(text, form)? == "json" { Self::Json } else { Self::Text })
    }
}
