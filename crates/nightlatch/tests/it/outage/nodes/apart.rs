//! One of several nodes loses its way to the record, or is late.

use std::time::Duration;

use nightlatch_testkit::chaos_proxy::Fault;
use nightlatch_testkit::load::Crowd;

use super::GROUP;
use crate::outage::drill::{Drill, full_or};
use crate::outage::postgres::{FROM_OWN_COPIES, Way};
use crate::outage::report::{Expected, Wanted};

const UNNOTICED: Expected =
    Expected { writes: Wanted::Served, checks: Wanted::Served, class: None };

async fn one_is_cut_off(fault: &'static str, how: Fault, class: &'static str) {
    let way = Way::shared().await;
    let nodes = vec![way.node(), way.straight_node(), way.straight_node()];
    let mut drill = Drill::begin_among(GROUP, fault, nodes, Crowd::STEADY).await;
    drill.cut_off = vec![0];
    drill.fault_begins();
    way.proxy.set(how).await;
    drill.wait_for_class(class).await;
    drill.wait_for_writes(503, 5).await;
    drill.stay_under_load().await;
    way.proxy.set(Fault::None).await;
    let expected =
        Expected { writes: Wanted::Refused, checks: FROM_OWN_COPIES, class: Some(class) };
    drill.remark = String::from("one of three; then the others");
    drill.fault_ends_among(expected, UNNOTICED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_loses_the_record_harms_no_other() {
    one_is_cut_off("one loses the record: refused", Fault::Refuse, "unreachable").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_record_falls_silent_harms_no_other() {
    one_is_cut_off("one loses the record: silent", Fault::Silent, "timeout").await;
}

/// What the record says when a session is looked up arrives after others have ended it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_began_before_a_logout_brings_no_session_back() {
    let way = Way::shared().await;
    let nodes = vec![way.node(), way.straight_node()];
    let fault = "reads begun before a logout and written after it";
    let crowd = Crowd { movers: 5, checkers: 5, changers: 1, programs: 2, logouts_in_ten: 5 };
    let mut drill = Drill::begin_among(GROUP, fault, nodes, crowd).await;
    drill.fault_begins();
    let late = Fault::Late { there: Duration::ZERO, back: Duration::from_millis(200) };
    way.proxy.set(late).await;
    drill.wait_since_beginning(Duration::from_secs(full_or(30, 4))).await;
    // The one that is late is started again in the middle of it.
    drill.kill();
    drill.start_again();
    drill.server.wait_until_ready().await;
    drill.stay_under_load().await;
    way.proxy.set(Fault::None).await;
    drill.remark = String::from("answers to one node 200 ms late, and it is killed meanwhile");
    let expected = Expected {
        writes: Wanted::Either,
        checks: Wanted::Either,
        class: Some("none|slow|unreachable"),
    };
    drill.fault_ends_among(expected, UNNOTICED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_that_do_not_come_are_fetched() {
    let way = Way::shared().await;
    let nodes = vec![way.node(), way.straight_node()];
    let mut drill = Drill::begin_among(GROUP, "feed connection silent", nodes, Crowd::STEADY).await;
    drill.fault_begins();
    way.proxy.set(Fault::SilentAfter("LISTEN")).await;
    drill.wait_since_beginning(Duration::from_secs(full_or(30, 4))).await;
    drill.stay_under_load().await;
    way.proxy.set(Fault::None).await;
    let expected = Expected { class: Some("none|feed_stalled"), ..UNNOTICED };
    drill.fault_ends_among(expected, UNNOTICED).await;
}
