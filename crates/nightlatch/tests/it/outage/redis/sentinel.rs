//! Sentinels say where the primary is, and change their mind.

use std::time::Duration;

use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::sentinel::{PRIMARY, Sentinel};
use nightlatch_testkit::server::Launch;
use nightlatch_testkit::wait::wait_until;

use super::{begin, throttled, unseen};
use crate::outage::drill::{Drill, full_or};
use crate::outage::postgres::Way;

const GROUP: &str = "Sentinel, Cluster";

/// How long Redis may take to notice something.
const LIMIT: Duration = Duration::from_secs(30);

/// What a change of the primary may look like.
const CHANGES: &str = "none|closed|unreachable|readonly|timeout|masterdown|slow|loading";

/// A record, a primary with its replica, and who knows which is which.
struct Stand {
    way: Way,
    servers: [RedisServer; 2],
    sentinel: Sentinel,
}

impl Stand {
    async fn new() -> Self {
        let (primary, replica) = (RedisServer::launch(), RedisServer::launch());
        replica.tell(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
        wait_until("the replica follows", LIMIT, async || {
            primary.ask(&["INFO", "replication"]).contains("state=online")
        })
        .await;
        let sentinel = Sentinel::launch(&primary, None);
        wait_until("the Sentinel knows both", LIMIT, async || {
            sentinel.ask(&["SENTINEL", "REPLICAS", PRIMARY]).contains(&replica.port().to_string())
        })
        .await;
        Self { way: Way::shared().await, servers: [primary, replica], sentinel }
    }

    fn node(&self, sentinel_port: u16) -> Launch {
        let url = format!("redis+sentinel://127.0.0.1:{sentinel_port}/{PRIMARY}");
        throttled(self.way.straight_node()).set("REDIS_URL", &url)
    }

    async fn begin(&self, fault: &'static str) -> Drill {
        self.begin_by(fault, self.sentinel.port()).await
    }

    async fn begin_by(&self, fault: &'static str, sentinel_port: u16) -> Drill {
        begin(GROUP, fault, vec![self.node(sentinel_port), self.node(sentinel_port)]).await
    }

    async fn becomes_primary(&self, number: usize) {
        wait_until("it is the primary", LIMIT, async || self.servers[number].is_role("master"))
            .await;
    }

    async fn follows(&self, number: usize) {
        wait_until("it follows", LIMIT, async || self.servers[number].is_role("slave")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_followed() {
    let stand = Stand::new().await;
    let mut drill = stand.begin("failover; a lagging replica is promoted").await;
    drill.fault_begins();
    // What is written meanwhile, the one that is promoted will not have.
    stand.servers[1].pause();
    drill.stay_under_load().await;
    stand.servers[0].kill_9();
    stand.servers[1].resume();
    stand.becomes_primary(1).await;
    drill.stay_under_load().await;
    drill.fault_ends(unseen(Some(CHANGES))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_changes_again_and_again_is_followed() {
    let stand = Stand::new().await;
    let mut drill = stand.begin("failover every 20 s").await;
    drill.fault_begins();
    for turn in 0..full_or(3, 1) {
        assert_eq!(stand.sentinel.ask(&["SENTINEL", "FAILOVER", PRIMARY]), "OK");
        stand.becomes_primary((turn + 1) % 2).await;
        stand.follows(turn % 2).await;
        drill.wait_from_now(Duration::from_secs(full_or(20, 0))).await;
        drill.stay_under_load().await;
    }
    drill.fault_ends(unseen(Some(CHANGES))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_are_gone_are_missed_by_nobody() {
    let stand = Stand::new().await;
    let mut drill = stand.begin("Sentinels gone").await;
    drill.fault_begins();
    let Stand { way, servers, sentinel } = stand;
    drop(sentinel);
    drill.wait_since_beginning(Duration::from_secs(full_or(30, 3))).await;
    drill.stay_under_load().await;
    drill.fault_ends(unseen(None)).await;
    drop((servers, way));
}

/// All Sentinels that are reached name the one that was the primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_know_less_are_not_believed() {
    let stand = Stand::new().await;
    let proxy = ChaosProxy::start(stand.sentinel.port()).await;
    let mut drill = stand.begin_by("Sentinels stale", proxy.port()).await;
    drill.fault_begins();
    let was = stand.servers[0].port().to_string();
    let stale = format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{was}\r\n", was.len());
    proxy.set(Fault::Says(stale.leak())).await;
    assert_eq!(stand.sentinel.ask(&["SENTINEL", "FAILOVER", PRIMARY]), "OK");
    stand.becomes_primary(1).await;
    stand.follows(0).await;
    drill.wait_for_class_everywhere("readonly").await;
    drill.wait_since_beginning(Duration::from_secs(full_or(30, 4))).await;
    drill.stay_under_load().await;
    proxy.set(Fault::None).await;
    drill.fault_ends(unseen(Some("readonly"))).await;
}

/// The one that was the primary comes back, and does not know yet that it is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_call_themselves_primary_bring_nobody_back() {
    let stand = Stand::new().await;
    let mut drill = stand.begin("split brain").await;
    drill.fault_begins();
    stand.servers[0].pause();
    stand.becomes_primary(1).await;
    drill.stay_under_load().await;
    stand.servers[0].resume();
    drill.stay_under_load().await;
    stand.follows(0).await;
    drill.fault_ends(unseen(Some(CHANGES))).await;
}
