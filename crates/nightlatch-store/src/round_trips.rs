//! How soon a server beneath answers: the same question again and again.
//!
//! For doctor, which has time; a server that answers late is left after a while all the same.

use std::time::Duration;

use nightlatch_core::FailureClass;
use tokio::time::Instant;

/// How long they are measured for.
const LIMIT: Duration = Duration::from_secs(3);

/// How long each of so many questions took, or of those that 3 s were enough for.
pub(crate) async fn measure(
    count: usize,
    ask: impl AsyncFn() -> Result<(), FailureClass>,
) -> Result<Vec<Duration>, FailureClass> {
    let mut took = Vec::with_capacity(count);
    let from = Instant::now();
    for _ in 0..count {
        if from.elapsed() > LIMIT {
            break;
        }
        let began = Instant::now();
        ask().await?;
        took.push(began.elapsed());
    }
    Ok(took)
}
