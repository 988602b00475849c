//! How long a node without the record may serve, how fast it refuses, how often it tries again.

use std::time::Duration;

use nightlatch_testkit::chaos_proxy::Fault;
use nightlatch_testkit::history::{Operation, Outcome};
use nightlatch_testkit::wait::wait_until;

use super::{GONE, Way};
use crate::outage::drill::{Drill, LIMIT, full_or};
use crate::outage::report::{Expected, Wanted};

/// The lease, a request's own time, and some for this machine.
const AFTER_STALENESS: Duration = Duration::from_secs(4);

fn is_too_stale(operation: &Operation) -> bool {
    matches!(&operation.outcome, Outcome::Answered(told) if told.code == "staleness_exceeded")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_are_believed_for_so_long_and_no_longer() {
    let way = Way::shared().await;
    let staleness = full_or(60, 3);
    let node = way.node().set("NIGHTLATCH_MAX_STALENESS", &staleness.to_string());
    let fault = "refused for longer than NIGHTLATCH_MAX_STALENESS";
    let mut drill = Drill::begin(GONE, fault, node).await;
    drill.fault_begins();
    way.proxy.set(Fault::Refuse).await;
    drill.wait_for_class("unreachable").await;
    drill.wait_for_checks(200, 20).await;
    let limit = Duration::from_secs(staleness) + LIMIT;
    wait_until("copies are too old", limit, async || {
        drill.load.count(drill.began(), is_too_stale) >= 20
    })
    .await;
    drill.wait_since_beginning(Duration::from_secs(staleness) + AFTER_STALENESS).await;
    let from = drill.load.now();
    drill.stay_under_load().await;
    let served =
        drill.load.count(from, |operation| operation.is_check() && operation.status() == Some(200));
    assert_eq!(served, 0, "from copies that are too old");
    way.proxy.set(Fault::None).await;
    drill.remark = format!("{staleness} s");
    drill
        .fault_ends(Expected {
            writes: Wanted::Refused,
            checks: Wanted::Refused,
            class: Some("unreachable"),
        })
        .await;
}

/// How often a node may try to reach a record that is away.
const RECONNECTS_A_SECOND_MAX: u64 = 2;

async fn known(name: &'static str, fault: Fault, class: &'static str) {
    let way = Way::shared().await;
    let mut drill = Drill::begin(GONE, name, way.node()).await;
    drill.fault_begins();
    way.proxy.set(fault).await;
    drill.wait_for_class(class).await;
    drill.wait_for_writes(503, 5).await;
    let (known, before) = (drill.load.now(), way.proxy.accepted());
    drill.wait_from_now(Duration::from_secs(full_or(30, 5))).await;
    drill.stay_under_load().await;
    let slow = drill.load.count(known, |operation| {
        operation.status() == Some(503) && operation.took() > Duration::from_secs(1)
    });
    assert_eq!(slow, 0, "503 is told at once when it is known that the record is away");
    let (seconds, tries) =
        (drill.load.now().saturating_sub(known).as_secs(), way.proxy.accepted() - before);
    let most = (seconds + 1) * RECONNECTS_A_SECOND_MAX;
    assert!(tries <= most, "{tries} new connections in {seconds} s");
    way.proxy.set(Fault::None).await;
    drill.remark = format!("{tries} new connections in {seconds} s");
    drill
        .fault_ends(Expected {
            writes: Wanted::Refused,
            checks: Wanted::Served,
            class: Some(class),
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silence_that_is_known_is_answered_at_once() {
    known("silent, once it is known", Fault::Silent, "timeout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_that_are_known_are_answered_at_once() {
    known("reset, once it is known", Fault::Reset, "closed").await;
}
