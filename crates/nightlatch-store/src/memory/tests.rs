//! The reference record passes the suite too.

use std::sync::Arc;

use nightlatch_core::{SystemClock, SystemEntropy, Timestamp};

use super::MemoryRecord;
use crate::contract::Subject;

async fn fresh() -> Subject {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let record = Arc::new(MemoryRecord::new(clock.clone(), entropy.clone()));
    let feed = record.clone();
    let (again, beats) = (record.clone(), record.clone());
    Subject::new(record, clock, entropy)
        .with_feed(move || {
            let rows = feed.feed();
            Box::pin(async move { rows })
        })
        .with_second_node(move || {
            let record = again.clone();
            Box::pin(async move { record as Arc<dyn nightlatch_core::Record> })
        })
        .with_shifted_heartbeats(move |shift| {
            beats.shift_heartbeats(|at| Timestamp::from_micros(at.as_micros() + shift.micros()));
            Box::pin(std::future::ready(()))
        })
}

crate::contract_tests!(fresh);
