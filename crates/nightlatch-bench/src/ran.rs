//! What threads have had of the cores, told apart by what they are for.
//!
//! A login is nearly all hashing: what else it costs shows only where the two are told apart.

use std::fs;
use std::ops::{AddAssign, Sub};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

/// What threads that hash passwords are called.
const HASHING: &str = "hash-";

/// Time on the cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Of threads that hash passwords.
    pub(crate) hashing: Duration,
    /// Of all others.
    pub(crate) other: Duration,
}

impl Ran {
    /// That of a process's threads.
    pub(crate) fn of_threads(pid: &str) -> anyhow::Result<Self> {
        let mut ran = Self::default();
        let threads = fs::read_dir(format!("/proc/{pid}/task")).context("looking for threads")?;
        for thread in threads {
            // One that has just ended has nothing more to tell.
            ran += thread.map(|thread| Self::of_thread(&thread.path()))?.unwrap_or_default();
        }
        Ok(ran)
    }

    fn of_thread(folder: &Path) -> Option<Self> {
        let name = fs::read_to_string(folder.join("comm")).ok()?;
        let ran = parse(&fs::read_to_string(folder.join("schedstat")).ok()?)?;
        Some(if name.starts_with(HASHING) {
            Self { hashing: ran, other: Duration::ZERO }
        } else {
            Self { hashing: Duration::ZERO, other: ran }
        })
    }

    pub(crate) fn all(self) -> Duration {
        self.hashing + self.other
    }
}

impl AddAssign for Ran {
    fn add_assign(&mut self, more: Self) {
        self.hashing += more.hashing;
        self.other += more.other;
    }
}

impl Sub for Ran {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            hashing: self.hashing.saturating_sub(before.hashing),
            other: self.other.saturating_sub(before.other),
        }
    }
}

/// The first of three numbers: nanoseconds on a core, waiting for one, and how often.
fn parse(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_time_is_read_as_the_kernel_writes_it() {
        assert_eq!(parse("2129485 17 1\n"), Some(Duration::from_nanos(2_129_485)));
        assert_eq!(parse(""), None);
        let own = Ran::of_threads("self").unwrap();
        assert!(own.other > Duration::ZERO && own.hashing == Duration::ZERO, "{own:?}");
    }
}
