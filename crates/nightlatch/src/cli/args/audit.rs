//! What `nightlatch audit` takes.
//!
//! Moments are typed as people think of them: so long ago, or at a time.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use nightlatch_core::{AuditAction, Timestamp};
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Arguments of `nightlatch audit`.
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// Of this user (name or e-mail address), or of one of this name who is gone
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Of this action, such as login-failed; may be given several times
    #[arg(long, value_name = "ACTION", value_parser = action)]
    pub action: Vec<AuditAction>,
    /// Not before: 30s, 15m, 24h, 7d (ago) or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub since: Option<Moment>,
    /// Before
    #[arg(long, value_name = "WHEN")]
    pub until: Option<Moment>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Go on and print what comes
    #[arg(long, short, conflicts_with = "until")]
    pub follow: bool,
    /// Print JSON, an entry a line
    #[arg(long)]
    pub json: bool,
}

fn action(name: &str) -> Result<AuditAction, String> {
    let names = AuditAction::ALL.map(AuditAction::as_str);
    AuditAction::from_name(name).ok_or_else(|| format!("actions are {}", names.join(", ")))
}

/// A moment as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long ago.
    Ago(Duration),
    /// At this time.
    At(Timestamp),
}

/// Why a moment could not be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a moment reads 30s, 15m, 24h or 7d (ago), or 2026-01-31T12:00:00Z")]
pub struct MomentError;

impl Moment {
    pub(in crate::cli) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.before(span),
            Self::At(time) => time,
        }
    }
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
            return Ok(Self::At(Timestamp::from_seconds(time.unix_timestamp())));
        }
        let unit = text.chars().next_back().ok_or(MomentError)?;
        let seconds: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(MomentError),
        };
        let count: u32 = text[..text.len() - 1].parse().map_err(|_| MomentError)?;
        Ok(Self::Ago(Duration::from_secs(seconds.saturating_mul(count.into()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_type_them() {
        assert_eq!("15m".parse(), Ok(Moment::Ago(Duration::from_mins(15))));
        assert_eq!("7d".parse(), Ok(Moment::Ago(Duration::from_hours(7 * 24))));
        let noon = Moment::At(Timestamp::from_seconds(1_769_860_800));
        assert_eq!("2026-01-31T12:00:00Z".parse(), Ok(noon));
        assert_eq!("2026-01-31T13:00:00+01:00".parse(), Ok(noon));
        for bad in ["", "m", "-5m", "5", "5w", "yesterday", "5µ", "99999999999d"] {
            assert_eq!(bad.parse::<Moment>(), Err(MomentError), "{bad}");
        }
    }
}
