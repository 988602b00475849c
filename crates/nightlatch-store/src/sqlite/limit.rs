//! When the statement that runs on a connection has to end.
//!
//! A connection serves one piece of work after the other, each with its own deadline. SQLite asks
//! two handlers: one while it waits for a lock, one every so many steps of a statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nightlatch_core::{Clock, Deadline};
use rusqlite::Connection;

/// How long before a deadline waiting for a lock ends: the caller shall still hear why.
const ANSWER_MARGIN: Duration = Duration::from_millis(100);
/// Between two looks at a lock.
const LOCK_POLL: Duration = Duration::from_millis(5);
/// Steps of a statement between two looks at the clock, about a tenth of a millisecond.
const STEPS_PER_LOOK: i32 = 2000;

/// The end of the present piece of work, in microseconds of boot time.
pub(super) struct Limit {
    at: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl Limit {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { at: AtomicU64::new(0), clock })
    }

    /// Work from now on ends at `deadline`.
    pub(super) fn set(&self, deadline: Deadline) {
        let at = self.clock.boottime().saturating_add(deadline.remaining(&*self.clock));
        self.at.store(u64::try_from(at.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Work from now on ends `span` from now.
    pub(super) fn set_within(&self, span: Duration) {
        self.set(Deadline::within(&*self.clock, span));
    }

    /// Has SQLite ask.
    pub(super) fn guard(self: &Arc<Self>, conn: &mut Connection) -> rusqlite::Result<()> {
        let limit = Arc::clone(self);
        conn.progress_handler(STEPS_PER_LOOK, Some(move || limit.remaining().is_zero()))?;
        let limit = Arc::clone(self);
        conn.busy_handler(Some(move |_asked: i32| limit.wait_for_lock()))
    }

    /// Waits until a lock of somebody else is worth another look. False once time is up.
    pub(super) fn wait_for_lock(&self) -> bool {
        if self.remaining() <= ANSWER_MARGIN {
            return false;
        }
        thread::park_timeout(LOCK_POLL);
        true
    }

    fn remaining(&self) -> Duration {
        let at = Duration::from_micros(self.at.load(Ordering::Relaxed));
        at.saturating_sub(self.clock.boottime())
    }
}
