//! The heartbeat of a node, from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{Deadline, HEARTBEAT_EVERY, Service};
use nightlatch_resilience::Backoff;
use tokio::time::Instant;

/// The longest that one heartbeat waits for the record.
const BEAT_DEADLINE: Duration = Duration::from_secs(2);

/// The waits after a heartbeat that the record did not take: it is said again long before others
/// take this node for silent, and not by all nodes at once.
const RETRY: Backoff = Backoff { base: Duration::from_millis(500), max: Duration::from_secs(4) };

/// Beats until the caller drops it. The first heartbeat is one interval away.
pub async fn run(service: Arc<Service>) {
    let mut next = Instant::now() + HEARTBEAT_EVERY;
    let mut failures = 0;
    loop {
        tokio::time::sleep_until(next).await;
        let began = Instant::now();
        let deadline = Deadline::within(service.clock(), BEAT_DEADLINE);
        next = match service.beat(deadline).await {
            Ok(_) => {
                failures = 0;
                began + HEARTBEAT_EVERY
            }
            Err(error) => {
                tracing::debug!(event = "node.not_heard", error = %error);
                failures += 1;
                Instant::now() + RETRY.delay(failures, service.entropy().bits())
            }
        };
    }
}
