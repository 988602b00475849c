//! File descriptors: as many as the system allows, and no more connections than fit into them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for files, the record, logs and connections that are being refused: a tenth, but
/// never less than a server opens for itself. With fewer, connections would use them up before they
/// are too many, and whoever comes then waits unheard instead of being told so.
const KEPT_MIN: u64 = 48;

/// Connections that are taken however few descriptors there are.
const CONNECTIONS_MIN: u64 = 8;

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
    let kept = (descriptors / 10).max(KEPT_MIN);
    let rest = descriptors.saturating_sub(kept).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX);
    usize::try_from(rest).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_what_the_server_opens_for_itself() {
        assert_eq!(connections(1024), 922);
        assert_eq!(connections(128), 80);
        assert_eq!(connections(64), 16);
        assert_eq!(connections(32), 8);
        assert_eq!(connections(u64::MAX), 50_000);
    }
}
