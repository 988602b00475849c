//! Waiting for a condition, with a limit: what tests do instead of sleeping.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until `is_so`; panics with `what` when it is not within `limit`.
pub async fn wait_until(what: &str, limit: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + limit;
    while !is_so().await {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        sleep(LOOK_EVERY).await;
    }
}
