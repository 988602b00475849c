//! What counting a session check costs while another core counts, too.
//!
//! Every check is counted some times. A number that all cores write they have to take from each other;
//! this shows that ours are not such, whatever the server does beside it.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use nightlatch_core::Counters;
use tokio::time::Instant;

use crate::cores::{Cores, pin};
use crate::report::Row;

/// Counts of each core: a tenth of a second and more.
const COUNTS: u32 = 10_000_000;

/// Measures on both cores at once, and goes back to the load generator's.
pub(crate) fn measure(cores: Cores) -> anyhow::Result<Row> {
    let (shared, ours) = (AtomicU64::new(0), Counters::<1>::new());
    let by_one = nanos_each(cores, || {
        shared.fetch_add(1, Ordering::Relaxed);
    })?;
    let by_ours = nanos_each(cores, || ours.count(0))?;
    anyhow::ensure!(black_box(&ours).read() == [2 * u64::from(COUNTS)], "a count was lost");
    let what = "counting a check, two cores at once".to_owned();
    let result = format!("{by_ours:.1} ns; {by_one:.1} ns if both wrote one number");
    Ok(Row::new(what, result).with_aim("less than one number for both", by_ours < by_one))
}

/// How long one count takes the slower of both cores.
fn nanos_each(cores: Cores, count: impl Fn() + Sync) -> anyhow::Result<f64> {
    let (together, count) = (Barrier::new(2), &count);
    let work = |core: usize| {
        let pinned = pin(core);
        together.wait();
        let began = Instant::now();
        (0..COUNTS).for_each(|_| count());
        pinned.map(|()| began.elapsed())
    };
    let took: anyhow::Result<Vec<Duration>> = std::thread::scope(|scope| {
        let threads = [cores.load, cores.measured].map(|core| scope.spawn(move || work(core)));
        threads.into_iter().map(|thread| thread.join().expect("counting does not panic")).collect()
    });
    let slower = took?.into_iter().max().context("two threads have counted")?;
    Ok(slower.as_secs_f64() * 1e9 / f64::from(COUNTS))
}
