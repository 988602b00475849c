//! A Cluster: a part of it goes, moves, or says what does not hold.

use std::time::Duration;

use nightlatch_testkit::cluster::RedisCluster;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::server::Launch;
use nightlatch_testkit::wait::wait_until;

use super::{begin, throttled, unseen};
use crate::outage::drill::{Drill, full_or};
use crate::outage::postgres::Way;

const GROUP: &str = "Sentinel, Cluster";

/// How long its servers may take to agree on something.
const LIMIT: Duration = Duration::from_secs(30);

/// What a server that goes or comes may look like.
const CHANGES: &str = "closed|unreachable|timeout|cluster_down|slow|loading";

/// A record and a Cluster.
struct Stand {
    way: Way,
    cluster: RedisCluster,
}

impl Stand {
    async fn new(has_replicas: bool, settings: &[(&str, &str)]) -> Self {
        let cluster = RedisCluster::launch_with(3, has_replicas, settings).await;
        Self { way: Way::shared().await, cluster }
    }

    fn node(&self) -> Launch {
        throttled(self.way.straight_node()).set("REDIS_URL", &self.cluster.url())
    }

    async fn begin(&self, fault: &'static str) -> Drill {
        begin(GROUP, fault, vec![self.node(), self.node()]).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_is_gone_is_missed_by_nobody() {
    let stand = Stand::new(false, &[("cluster-require-full-coverage", "no")]).await;
    let mut drill = stand.begin("a shard gone").await;
    drill.fault_begins();
    stand.cluster.primaries[1].kill_9();
    drill.wait_for_class_everywhere(CHANGES).await;
    drill.wait_since_beginning(Duration::from_secs(full_or(60, 4))).await;
    drill.stay_under_load().await;
    stand.cluster.primaries[1].start();
    drill.fault_ends(unseen(Some(CHANGES))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_takes_nothing_is_missed_by_nobody() {
    let stand = Stand::new(false, &[]).await;
    let mut drill = stand.begin("CLUSTERDOWN: without one shard it takes nothing").await;
    drill.fault_begins();
    stand.cluster.primaries[1].kill_9();
    wait_until("it takes nothing", LIMIT, async || {
        stand.cluster.primaries[0].ask(&["CLUSTER", "INFO"]).contains("cluster_state:fail")
    })
    .await;
    drill.wait_for_class_everywhere(CHANGES).await;
    drill.wait_since_beginning(Duration::from_secs(full_or(60, 4))).await;
    drill.stay_under_load().await;
    stand.cluster.primaries[1].start();
    stand.cluster.agrees().await;
    drill.fault_ends(unseen(Some(CHANGES))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_fails_over_is_followed() {
    let stand = Stand::new(true, &[]).await;
    let mut drill = stand.begin("Cluster: a shard fails over to its replica").await;
    drill.fault_begins();
    stand.cluster.primaries[0].kill_9();
    drill.wait_until_told_everywhere(CHANGES).await;
    wait_until("its replica has taken over", LIMIT, async || {
        stand.cluster.replicas[0].is_role("master")
    })
    .await;
    drill.stay_under_load().await;
    stand.cluster.primaries[0].start();
    stand.cluster.agrees().await;
    drill.fault_ends(unseen(Some(CHANGES))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_are_followed() {
    let stand = Stand::new(false, &[]).await;
    let mut drill = stand.begin("resharding: MOVED and ASK").await;
    drill.fault_begins();
    let [from, to, _] = stand.cluster.primaries.as_slice() else { panic!("three were started") };
    let mut moved = 0;
    for _ in 0..full_or(100, 10) {
        let keys = from.ask(&["--raw", "KEYS", "nightlatch:[st]:*"]);
        let Some(key) = keys.lines().find(|key| !key.is_empty()) else {
            drill.stay_under_load().await;
            continue;
        };
        let slot = from.ask(&["CLUSTER", "KEYSLOT", key]).parse().expect("a number");
        stand.cluster.move_slot(slot, (from, to), async || drill.stay_under_load().await).await;
        moved += 1;
    }
    assert!(moved > 0, "there was something to move");
    drill.remark = format!("{moved} slots with what was in them");
    drill.fault_ends(unseen(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_lead_nowhere_are_missed_by_nobody() {
    let stand = Stand::new(false, &[]).await;
    let mut drill = stand.begin("announced addresses out of reach").await;
    drill.fault_begins();
    for server in &stand.cluster.primaries {
        let nowhere = free_port().to_string();
        server.tell(&["CONFIG", "SET", "cluster-announce-port", &nowhere]);
    }
    for server in &stand.cluster.primaries {
        // They are connected; once they are not, they cannot be any more.
        server.tell(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }
    drill.wait_for_class_everywhere("unreachable").await;
    drill.wait_since_beginning(Duration::from_secs(full_or(60, 4))).await;
    drill.stay_under_load().await;
    for server in &stand.cluster.primaries {
        server.tell(&["CONFIG", "SET", "cluster-announce-port", "0"]);
    }
    drill.fault_ends(unseen(Some(CHANGES))).await;
}
