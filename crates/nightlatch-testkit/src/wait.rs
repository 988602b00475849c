//! Waiting for a condition, with a limit: what tests do instead of sleeping.

use std::time::Duration;

use nightlatch_drill::until::until;

/// Waits until `is_so`; panics with `what` when it is not within `limit`.
pub async fn wait_until(what: &str, limit: Duration, is_so: impl AsyncFnMut() -> bool) {
    assert!(until(limit, is_so).await.is_ok(), "not within {limit:?}: {what}");
}
