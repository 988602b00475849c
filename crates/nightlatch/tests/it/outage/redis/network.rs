//! The way to Redis is bad.

use std::time::Duration;

use nightlatch_testkit::chaos_proxy::Fault;

use super::{GUESSES_MAX, Stand, begin, begin_with_guesses, throttled, unseen};
use crate::outage::drill::full_or;
use crate::outage::postgres::FROM_OWN_COPIES;
use crate::outage::report::{Expected, Wanted};

const GROUP: &str = "Redis, network";

/// The way to Redis has a fault.
async fn on_the_way(name: &'static str, fault: Fault, class: &'static str) {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, name).await;
    drill.fault_begins();
    stand.proxy.set(fault).await;
    drill.stay_ill(class, Duration::from_secs(full_or(10, 0))).await;
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

/// Later than a request waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_a_little_late_is_done_without() {
    let half = Duration::from_millis(full_or(25, 125));
    on_the_way("50 ms late", Fault::Late { there: half, back: half }, "slow|timeout").await;
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
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "SIGSTOP, and on again").await;
    drill.fault_begins();
    stand.redis.pause();
    drill.wait_for_class_everywhere("timeout").await;
    drill.stay_under_load().await;
    stand.redis.resume();
    drill.fault_ends(unseen(Some("timeout"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_trickles_is_done_without() {
    let a_byte = Fault::Trickle(Duration::from_millis(20));
    on_the_way("trickle", a_byte, "slow|timeout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_will_say_no_more_is_done_without() {
    on_the_way("half-closed", Fault::HalfClose, "closed|timeout").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_dead_behind_a_nat_are_made_anew() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "pooled connections dead behind a NAT").await;
    drill.fault_begins();
    stand.proxy.set(Fault::SilentLive).await;
    drill.wait_until_told_everywhere("timeout").await;
    drill.wait_for_class_everywhere("none").await;
    drill.stay_under_load().await;
    stand.proxy.set(Fault::None).await;
    drill.fault_ends(unseen(Some("none|timeout|closed"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_closed_again_and_again_is_no_news_each_time() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "flapping every 0.5 s").await;
    drill.fault_begins();
    for _ in 0..full_or(30, 8) {
        stand.proxy.set(Fault::Refuse).await;
        drill.wait_from_now(Duration::from_millis(500)).await;
        stand.proxy.set(Fault::None).await;
        drill.wait_from_now(Duration::from_millis(500)).await;
    }
    drill.fault_ends(unseen(Some("none|unreachable|closed|timeout"))).await;
}

/// The breaker does not chatter: the few lines that are told are judged, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_late_at_random_is_no_news_each_time() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "0-100 ms jitter").await;
    drill.fault_begins();
    stand.proxy.set(Fault::Jitter(Duration::from_millis(100))).await;
    drill.wait_since_beginning(Duration::from_secs(full_or(60, 5))).await;
    drill.stay_under_load().await;
    stand.proxy.set(Fault::None).await;
    drill.fault_ends(unseen(Some("none|slow|timeout"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_closed_when_idle_are_not_idle() {
    let stand = Stand::with(&[("timeout", "1")], "").await;
    let mut drill = stand.begin(GROUP, "closed when idle").await;
    drill.fault_begins();
    drill.wait_since_beginning(Duration::from_secs(full_or(30, 3))).await;
    drill.stay_under_load().await;
    drill.fault_ends(unseen(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_one_of_two_servers_reaches_is_used_by_that_one() {
    let stand = Stand::new().await;
    let nodes = vec![stand.node(), stand.node_by(stand.redis.port())];
    let mut drill = begin("Several nodes", "one reaches Redis", nodes).await;
    drill.fault_begins();
    stand.proxy.set(Fault::Refuse).await;
    drill.wait_for_class("unreachable").await;
    drill.wait_from_now(Duration::from_secs(full_or(30, 1))).await;
    drill.stay_under_load().await;
    stand.proxy.set(Fault::None).await;
    drill.fault_ends(unseen(Some("none|unreachable"))).await;
}

/// As many as two servers, and one more: each may let its share through.
const GUESSES_MAX_OF_THREE: usize = GUESSES_MAX + 1;

/// Its own sessions it knows; what the others end, it hears of only when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_loses_redis_and_the_record_harms_no_other() {
    let stand = Stand::new().await;
    let url = format!("redis://127.0.0.1:{}", stand.proxy.port());
    let straight = || stand.node_by(stand.redis.port());
    let nodes = vec![throttled(stand.way.node()).set("REDIS_URL", &url), straight(), straight()];
    let fault = "one loses Redis and the record";
    let mut drill = begin_with_guesses("Several nodes", fault, nodes, GUESSES_MAX_OF_THREE).await;
    drill.cut_off = vec![0];
    drill.fault_begins();
    stand.proxy.set(Fault::Refuse).await;
    stand.way.proxy.set(Fault::Refuse).await;
    drill.wait_for_class("unreachable").await;
    drill.wait_for_writes(503, 5).await;
    drill.wait_from_now(Duration::from_secs(full_or(30, 1))).await;
    drill.stay_under_load().await;
    stand.way.proxy.set(Fault::None).await;
    stand.proxy.set(Fault::None).await;
    drill.remark = String::from("one of three; then the others");
    let of_one =
        Expected { writes: Wanted::Refused, checks: FROM_OWN_COPIES, class: Some("unreachable") };
    drill.fault_ends_among(of_one, unseen(None)).await;
}
