//! Times as people read them: in UTC, and as how long ago or ahead.
//!
//! We do not know the reader's time zone; "5 minutes ago" needs none.

use std::time::Duration;

use nightlatch_core::Timestamp;
use time::OffsetDateTime;

/// A time, for machines and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// RFC 3339.
    pub(crate) iso: String,
    /// "21 November 2026, 10:03 UTC"
    pub(crate) utc: String,
    /// "21 November 2026"
    pub(crate) day: String,
    /// "5 minutes ago", "in 3 days"
    pub(crate) relative: String,
}

impl Moment {
    /// `at` as it looks at `now`.
    pub(crate) fn new(at: Timestamp, now: Timestamp) -> Self {
        let seconds = at.as_micros().div_euclid(1_000_000);
        // Only years beyond 9999 have no calendar; no record holds one.
        let date =
            OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let day = format!("{} {} {}", date.day(), date.month(), date.year());
        let relative = if at > now { in_words(at.since(now)) } else { ago_in_words(now.since(at)) };
        let utc = format!("{day}, {:02}:{:02} UTC", date.hour(), date.minute());
        Self { iso: at.to_rfc3339(), utc, day, relative }
    }
}

/// A wait as people say it: "in 5 minutes". Rounded up, so that who waits as told has waited enough.
pub(crate) fn in_words(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    match seconds {
        0..=1 => "in a second".to_owned(),
        2..=90 => format!("in {seconds} seconds"),
        91..=5_400 => format!("in {} minutes", seconds.div_ceil(60)),
        5_401..=172_800 => format!("in {} hours", seconds.div_ceil(3_600)),
        _ => format!("in {} days", seconds.div_ceil(86_400)),
    }
}

fn ago_in_words(span: Duration) -> String {
    match span.as_secs() {
        0..=59 => "just now".to_owned(),
        60..=119 => "a minute ago".to_owned(),
        seconds @ 120..=5_399 => format!("{} minutes ago", seconds / 60),
        seconds @ 5_400..=172_799 => format!("{} hours ago", (seconds + 1_800) / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn times_are_told_in_utc_and_in_words() {
        let now = at(1_795_255_428);
        let moment = Moment::new(at(1_795_255_428 - 300), now);
        assert_eq!(moment.utc, "21 November 2026, 09:58 UTC");
        assert_eq!(moment.iso, "2026-11-21T09:58:48Z");
        for (seconds, words) in [
            (0, "just now"),
            (59, "just now"),
            (60, "a minute ago"),
            (300, "5 minutes ago"),
            (5_400, "2 hours ago"),
            (172_800, "2 days ago"),
            (-1, "in a second"),
            (-90, "in 90 seconds"),
            (-91, "in 2 minutes"),
            (-86_400, "in 24 hours"),
            (-2_592_000, "in 30 days"),
        ] {
            assert_eq!(Moment::new(at(1_795_255_428 - seconds), now).relative, words);
        }
    }
}
