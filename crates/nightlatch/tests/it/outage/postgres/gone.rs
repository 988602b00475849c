//! The record is not reached, or what comes back is no answer.

use std::time::Duration;

use nightlatch_testkit::chaos_proxy::Fault;
use tokio::time::{Instant, sleep};

use super::{FROM_COPIES, GONE, Way};
use crate::outage::drill::{Drill, full_or};
use crate::outage::report::{Expected, Wanted};

fn gone(class: &'static str) -> Expected {
    Expected { writes: Wanted::Refused, checks: FROM_COPIES, class: Some(class) }
}

/// The way there has a fault.
async fn on_the_way(name: &'static str, fault: Fault, class: &'static str) {
    let way = Way::shared().await;
    let mut drill = Drill::begin(GONE, name, way.node()).await;
    drill.fault_begins();
    way.proxy.set(fault).await;
    drill.wait_for_class(class).await;
    drill.wait_for_writes(503, 5).await;
    drill.stay_under_load().await;
    way.proxy.set(Fault::None).await;
    drill.fault_ends(gone(class)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_refuses_connections_is_waited_for() {
    on_the_way("refused", Fault::Refuse, "unreachable").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_behind_a_silent_network_is_waited_for() {
    on_the_way("silent", Fault::Silent, "timeout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_resets_connections_is_waited_for() {
    on_the_way("reset", Fault::Reset, "closed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_answers_after_five_seconds_is_waited_for() {
    let half = Duration::from_millis(2500);
    on_the_way("5 s late", Fault::Late { there: half, back: half }, "timeout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_from_the_record_is_no_answer() {
    on_the_way("garbage", Fault::Garbage, "protocol|closed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_comes_and_goes_is_borne() {
    let way = Way::shared().await;
    let mut drill = Drill::begin(GONE, "flapping every 0.5 s", way.node()).await;
    drill.fault_begins();
    let began = Instant::now();
    for _ in 0..full_or(30, 5) {
        // The rhythm is the fault.
        for fault in [Fault::Refuse, Fault::None] {
            way.proxy.set(fault).await;
            sleep(Duration::from_millis(500)).await;
        }
    }
    drill.remark = format!("for {} s", began.elapsed().as_secs());
    // Health may meet either half.
    let class = Some("none|unreachable|closed");
    drill.fault_ends(Expected { writes: Wanted::Either, checks: FROM_COPIES, class }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_waited_for() {
    let way = Way::alone(&[]).await;
    let mut drill = Drill::begin(GONE, "silent: server stopped", way.straight_node()).await;
    drill.fault_begins();
    way.postgres.pause();
    drill.wait_for_class("timeout").await;
    drill.wait_for_writes(503, 5).await;
    drill.stay_under_load().await;
    way.postgres.resume();
    drill.remark = String::from("SIGSTOP to all its processes");
    drill.fault_ends(gone("timeout")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_waited_for() {
    let way = Way::alone(&[]).await;
    let mut drill = Drill::begin(GONE, "refused: server killed", way.straight_node()).await;
    drill.fault_begins();
    way.postgres.kill_9();
    drill.wait_for_class("unreachable").await;
    drill.wait_for_writes(503, 5).await;
    drill.stay_under_load().await;
    way.postgres.start();
    drill.remark = String::from("SIGKILL to all its processes, and started again");
    drill.fault_ends(gone("unreachable")).await;
}
