//! File descriptors: as many as the system allows, and no more connections than fit into them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for files, the record, logs and connections that are being refused, as a share:
/// connections get nine tenths.
const CONNECTIONS_TENTHS: u64 = 9;

/// The most connections that one process takes, however many descriptors there are: each costs
/// memory.
const CONNECTIONS_MAX: u64 = 50_000;

/// Raises the soft limit to the hard one and says how many connections fit.
#[must_use]
pub fn raise_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Without the right to raise it the old limit stays, which is no error.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    connections(limit.unwrap_or(u64::MAX))
}

fn connections(descriptors: u64) -> usize {
    let share = (descriptors / 10).saturating_mul(CONNECTIONS_TENTHS);
    usize::try_from(share.clamp(8, CONNECTIONS_MAX)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_a_tenth_of_the_descriptors() {
        assert_eq!(connections(1024), 918);
        assert_eq!(connections(64), 54);
        assert_eq!(connections(u64::MAX), 50_000);
    }
}
