//! Redis fails in front of two servers that share a record and copies: nobody is told anything of
//! it but health.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::load::Crowd;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::Launch;

use super::drill::{Drill, full_or};
use super::postgres::Way;
use super::report::{Expected, Wanted};

const NETWORK: &str = "Redis, network";
const ANSWERS: &str = "Redis, answers";
const DATA: &str = "Redis, data";

fn unseen(class: Option<&'static str>) -> Expected {
    Expected { writes: Wanted::Served, checks: Wanted::Served, class }
}

/// A record, a Redis, and the way to it.
struct Stand {
    way: Way,
    redis: Arc<RedisServer>,
    proxy: ChaosProxy,
}

impl Stand {
    async fn with(settings: &[(&str, &str)]) -> Self {
        let redis = Arc::new(RedisServer::launch_with(settings));
        let proxy = ChaosProxy::start(redis.port()).await;
        Self { way: Way::shared().await, redis, proxy }
    }

    fn node(&self) -> Launch {
        let url = format!("redis://127.0.0.1:{}", self.proxy.port());
        // Where other tests run beside, a few milliseconds are this machine's own doing.
        let deadline = full_or("20", "100");
        self.way.straight_node().set("REDIS_URL", &url).set("REDIS_DEADLINE_MS", deadline)
    }

    /// Both servers go the way that the fault is on.
    async fn begin(&self, group: &'static str, fault: &'static str) -> Drill {
        Drill::begin_among(group, fault, vec![self.node(), self.node()], Crowd::STEADY).await
    }
}

/// The way to Redis has a fault.
async fn on_the_way(name: &'static str, fault: Fault, class: &'static str) {
    let stand = Stand::with(&[]).await;
    let mut drill = stand.begin(NETWORK, name).await;
    drill.fault_begins();
    stand.proxy.set(fault).await;
    drill.wait_for_class_everywhere(class).await;
    drill.wait_from_now(Duration::from_secs(full_or(10, 0))).await;
    drill.stay_under_load().await;
    stand.proxy.set(Fault::None).await;
    drill.fault_ends(unseen(Some(class))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_refuses_connections_is_done_without() {
    on_the_way("refused", Fault::Refuse, "unreachable").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_resets_connections_is_done_without() {
    on_the_way("accepted, then reset", Fault::Reset, "closed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_redis_is_done_without() {
    on_the_way("silent", Fault::Silent, "timeout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_half_a_second_late_is_done_without() {
    let half = Duration::from_millis(250);
    on_the_way("500 ms late", Fault::Late { there: half, back: half }, "slow|timeout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_two_seconds_late_is_done_without() {
    let half = Duration::from_secs(1);
    on_the_way("2000 ms late", Fault::Late { there: half, back: half }, "slow|timeout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_redis_is_done_without_and_used_again() {
    let stand = Stand::with(&[]).await;
    let mut drill = stand.begin(NETWORK, "SIGSTOP, and on again").await;
    drill.fault_begins();
    stand.redis.pause();
    drill.wait_for_class_everywhere("timeout").await;
    drill.stay_under_load().await;
    stand.redis.resume();
    drill.fault_ends(unseen(Some("timeout"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_from_redis_is_no_answer() {
    let stand = Stand::with(&[]).await;
    let mut drill = stand.begin(ANSWERS, "garbage").await;
    drill.fault_begins();
    stand.proxy.set(Fault::Garbage).await;
    drill.wait_for_class_everywhere("protocol|closed").await;
    drill.stay_under_load().await;
    stand.proxy.set(Fault::None).await;
    drill.fault_ends(unseen(Some("protocol|closed"))).await;
}

/// Redis itself says no, by its own settings.
async fn it_says(name: &'static str, class: &'static str, begin: &[&[&str]], end: &[&[&str]]) {
    let stand = Stand::with(&[]).await;
    let mut drill = stand.begin(ANSWERS, name).await;
    drill.fault_begins();
    for words in begin {
        stand.redis.tell(words);
    }
    drill.wait_for_class_everywhere(class).await;
    drill.stay_under_load().await;
    for words in end {
        stand.redis.tell(words);
    }
    drill.fault_ends(unseen(Some(class))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_wants_a_password_is_done_without() {
    let begin: &[&[&str]] = &[
        &["CONFIG", "SET", "requirepass", "secret"],
        // Servers listen to each other's news.
        &["-a", "secret", "--no-auth-warning", "CLIENT", "KILL", "TYPE", "pubsub"],
    ];
    let end: &[&[&str]] =
        &[&["-a", "secret", "--no-auth-warning", "CONFIG", "SET", "requirepass", ""]];
    it_says("NOAUTH", "auth_required", begin, end).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_has_no_memory_left_is_done_without() {
    let begin: &[&[&str]] = &[&["CONFIG", "SET", "maxmemory", "1"]];
    it_says("OOM", "out_of_memory", begin, &[&["CONFIG", "SET", "maxmemory", "0"]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_has_too_few_replicas_is_done_without() {
    let begin: &[&[&str]] = &[&["CONFIG", "SET", "min-replicas-to-write", "1"]];
    let end: &[&[&str]] = &[&["CONFIG", "SET", "min-replicas-to-write", "0"]];
    it_says("NOREPLICAS", "noreplicas", begin, end).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_becomes_a_replica_is_done_without() {
    let primary = RedisServer::launch();
    let port = primary.port().to_string();
    let begin: &[&[&str]] = &[&["REPLICAOF", "127.0.0.1", &port]];
    it_says("READONLY", "readonly", begin, &[&["REPLICAOF", "NO", "ONE"]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_flushed_is_filled_again() {
    let stand = Stand::with(&[]).await;
    let mut drill = stand.begin(DATA, "FLUSHALL").await;
    drill.fault_begins();
    for _ in 0..full_or(20, 5) {
        stand.redis.tell(&["FLUSHALL"]);
        drill.stay_under_load().await;
    }
    drill.fault_ends(unseen(None)).await;
}
