//! Waiting for a condition, with a limit.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// It was not so in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInTime;

/// Waits until `is_so`.
///
/// # Errors
/// It is not so within `limit`.
pub async fn until(limit: Duration, mut is_so: impl AsyncFnMut() -> bool) -> Result<(), NotInTime> {
    let end = Instant::now() + limit;
    while !is_so().await {
        if Instant::now() >= end {
            return Err(NotInTime);
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}
