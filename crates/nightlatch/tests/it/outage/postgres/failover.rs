//! Another server takes the place of the record: with all that was acknowledged, or without.

use std::time::Duration;

use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::load::Crowd;
use nightlatch_testkit::postgres::{PASSWORD, PostgresServer};

use super::{FROM_OWN_COPIES, GONE, Way, node_on};
use crate::outage::drill::Drill;
use crate::outage::report::{Expected, Wanted};

const FAILOVER: Expected = Expected {
    writes: Wanted::Refused,
    checks: FROM_OWN_COPIES,
    class: Some("unreachable|readonly"),
};

/// The URL of a database that one of two servers has.
fn of_both(first: &PostgresServer, second: &PostgresServer, database: &str) -> String {
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", first.port(), second.port());
    format!("postgres://postgres:{PASSWORD}@{hosts}/{database}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_takes_over_with_all_that_was_acknowledged() {
    let way = Way::alone(&[]).await;
    let standby = way.postgres.launch_standby(way.postgres.port());
    way.postgres.wait_for_standby_at_commits();
    let url = of_both(&way.postgres, &standby, &way.database);
    let fault = "failover to a synchronous standby";
    let nodes = vec![node_on(&url), node_on(&url)];
    let mut drill = Drill::begin_among(GONE, fault, nodes, Crowd::STEADY).await;
    drill.cut_off = vec![0, 1];
    drill.fault_begins();
    way.postgres.kill_9();
    drill.wait_for_class_everywhere("unreachable|readonly").await;
    drill.wait_for_writes_everywhere(503, 3).await;
    standby.promote();
    drill.fault_ends(FAILOVER).await;
}

/// How long nodes may take to write back what they remember.
const WRITE_BACK: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asynchronous_standby_takes_over_without_undoing_a_logout() {
    let way = Way::alone(&[]).await;
    let behind = ChaosProxy::start(way.postgres.port()).await;
    let standby = way.postgres.launch_standby(behind.port());
    let url = of_both(&way.postgres, &standby, &way.database);
    let fault = "failover to an asynchronous standby";
    let nodes = vec![node_on(&url), node_on(&url)];
    let mut drill = Drill::begin_among(GONE, fault, nodes, Crowd::STEADY).await;
    drill.cut_off = vec![0, 1];
    drill.fault_begins();
    behind.set(Fault::Silent).await;
    drill.stay_under_load().await;
    way.postgres.kill_9();
    drill.lost_writes = Some((drill.began(), drill.load.now()));
    drill.wait_for_class_everywhere("unreachable|readonly").await;
    drill.wait_for_writes_everywhere(503, 3).await;
    behind.set(Fault::Reset).await;
    standby.promote();
    drill.wait_from_now(WRITE_BACK).await;
    drill.remark = String::from("that lacks the last seconds");
    drill.fault_ends(FAILOVER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_takes_over_without_undoing_a_logout() {
    let way = Way::alone(&[]).await;
    let nodes = vec![way.straight_node(), way.straight_node()];
    let fault = "restored from a backup at the same address";
    let mut drill = Drill::begin_among(GONE, fault, nodes, Crowd::STEADY).await;
    drill.cut_off = vec![0, 1];
    drill.fault_begins();
    let backup = way.postgres.back_up();
    drill.stay_under_load().await;
    way.postgres.kill_9();
    drill.lost_writes = Some((drill.began(), drill.load.now()));
    drill.wait_for_class_everywhere("unreachable").await;
    drill.wait_for_writes_everywhere(503, 3).await;
    way.postgres.restore(&backup);
    drill.wait_from_now(WRITE_BACK).await;
    drill.remark = String::from("taken seconds before");
    drill.fault_ends(FAILOVER).await;
}
