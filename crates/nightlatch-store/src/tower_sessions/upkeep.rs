//! What a node does beside its requests: it follows the feed, and sweeps what has ended.
//!
//! Without the first no copy is believed, so it is no choice of the application.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Deadline, FEED_RETENTION, RecordClock, RecordStore as _, SweepBefore, Timestamp,
};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cached::{CachedRecord, Look, LookObserver};

/// How often ended rows are swept, and how many at once, so that nothing waits long behind it.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
const SWEEP_ROWS_MAX: u32 = 500;
const SWEEP_SPAN: Duration = Duration::from_secs(2);

pub(super) fn start(
    record: &Arc<CachedRecord>,
    clock: &Arc<RecordClock>,
    beside: &mut JoinSet<()>,
) {
    let (followed, observer) = (Arc::clone(record), FollowsClock(Arc::clone(clock)));
    beside.spawn(async move { followed.tail(&observer).await });
    let (swept, clock) = (Arc::clone(record), Arc::clone(clock));
    beside.spawn(async move {
        loop {
            sleep(SWEEP_EVERY).await;
            let deadline = Deadline::within(clock.clock(), SWEEP_SPAN);
            // The audit log is a server's, who knows how long it is kept.
            let ended = clock.now().before(FEED_RETENTION);
            let before = SweepBefore { ended, audited: Timestamp::EPOCH };
            if let Err(error) = swept.sweep(before, SWEEP_ROWS_MAX, deadline).await {
                tracing::debug!(event = "job.postponed", job = "record.sweep", error = %error);
            }
        }
    });
}

/// Takes over the record's clock.
struct FollowsClock(Arc<RecordClock>);

impl LookObserver for FollowsClock {
    fn looked(&self, look: &Look<'_>) {
        if let Ok(news) = look.answer {
            self.0.observe(news.now, look.asked, look.answered);
        }
    }
}
