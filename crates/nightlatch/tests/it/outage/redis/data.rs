//! Redis has forgotten, or says what was, or what others have put there.

use std::time::Duration;

use nightlatch_testkit::redis::RedisServer;

use super::{GUESSES_MAX_APART, Stand, begin, begin_with_guesses, unseen};
use crate::outage::drill::full_or;
use crate::outage::nodes::together::{NEW_SECRET, OLD_SECRET};
use crate::outage::report::{Expected, Wanted};

const GROUP: &str = "Redis, data";

/// What a start costs.
const RESTARTS: &str = "none|unreachable|closed|loading|timeout";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_flushed_is_filled_again() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "FLUSHALL").await;
    drill.fault_begins();
    for _ in 0..full_or(20, 5) {
        stand.redis.tell(&["FLUSHALL"]);
        drill.stay_under_load().await;
    }
    drill.fault_ends(unseen(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_evicts_is_filled_again() {
    let stand = Stand::new().await;
    stand.redis.tell(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    stand.redis.tell(&["DEBUG", "POPULATE", "30000"]);
    let mut drill = stand.begin(GROUP, "eviction").await;
    drill.fault_begins();
    stand.redis.tell(&["CONFIG", "SET", "maxmemory", "3mb"]);
    for _ in 0..full_or(10, 2) {
        stand.redis.tell(&["DEBUG", "POPULATE", "30000", "others", "10"]);
        drill.stay_under_load().await;
    }
    drill.fault_ends(unseen(Some("none|slow|out_of_memory"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_is_filled_again() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "restart empty, acknowledged writes lost").await;
    drill.fault_begins();
    for _ in 0..full_or(5, 2) {
        stand.redis.kill_9();
        stand.redis.start();
        drill.stay_under_load().await;
    }
    drill.fault_ends(unseen(Some(RESTARTS))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_with_what_was_brings_nobody_back() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "restart from an old snapshot").await;
    drill.fault_begins();
    drill.stay_under_load().await;
    stand.redis.tell(&["SAVE"]);
    drill.wait_since_beginning(Duration::from_secs(full_or(60, 3))).await;
    for _ in 0..full_or(5, 2) {
        stand.redis.kill_9();
        stand.redis.start();
        drill.stay_under_load().await;
    }
    drill.remark = String::from("each time with the data of the beginning");
    drill.fault_ends(unseen(Some(RESTARTS))).await;
}

/// Longer than copies are believed, and than failed logins count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_gone_for_long_brings_nobody_back() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "gone 10 minutes, and back with the data of then").await;
    drill.fault_begins();
    drill.stay_under_load().await;
    stand.redis.tell(&["SAVE"]);
    stand.redis.kill_9();
    drill.wait_from_now(Duration::from_secs(full_or(600, 5))).await;
    stand.redis.start();
    drill.stay_under_load().await;
    drill.fault_ends(unseen(Some(RESTARTS))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_that_are_kept_for_too_long_are_not_believed_longer() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "TTLs wrong by an hour").await;
    drill.fault_begins();
    let longer = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
          redis.call('PEXPIRE', key, redis.call('PTTL', key) + 3600000) end
        return 1";
    for _ in 0..full_or(60, 5) {
        stand.redis.tell(&["EVAL", longer, "0", "nightlatch:[st]:*"]);
        drill.stay_under_load().await;
    }
    drill.fault_ends(unseen(None)).await;
}

/// Neither server finds what the other has written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_in_which_nothing_is_found_is_missed_by_nobody() {
    let stand = Stand::new().await;
    let nodes = ["one:", "other:"].map(|prefix| stand.node().set("REDIS_KEY_PREFIX", prefix));
    let nodes = Vec::from(nodes);
    let mut drill = begin_with_guesses(GROUP, "every read misses", nodes, GUESSES_MAX_APART).await;
    drill.fault_begins();
    drill.wait_since_beginning(Duration::from_secs(full_or(30, 2))).await;
    drill.stay_under_load().await;
    drill.fault_ends(unseen(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_of_a_hundred_megabytes_is_not_taken_in() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "a 100 MB value").await;
    drill.fault_begins();
    let swell = "local keys = redis.call('KEYS', ARGV[1])
        if keys[1] then redis.call('SETRANGE', keys[1], 104857599, 'x') end
        return 1";
    for _ in 0..full_or(10, 2) {
        stand.redis.tell(&["EVAL", swell, "0", "nightlatch:s:*"]);
        drill.stay_under_load().await;
    }
    drill.fault_ends(unseen(Some("none|slow|timeout|protocol"))).await;
}

/// Every copy and every counter is put under another's name, or is no longer what it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_put_under_our_names_is_not_believed() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "another key's value; foreign keys of our names").await;
    drill.fault_begins();
    let shift = "local keys = redis.call('KEYS', ARGV[1])
        for i = 1, #keys - 1 do redis.call('COPY', keys[i + 1], keys[i], 'REPLACE') end
        return 1";
    let spoil = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
          redis.call('DEL', key) redis.call('RPUSH', key, 'a', 'b') end
        return 1";
    for _ in 0..full_or(20, 3) {
        for (script, keys) in [(shift, "nightlatch:s:*"), (shift, "nightlatch:t:*")] {
            stand.redis.tell(&["EVAL", script, "0", keys]);
        }
        drill.stay_under_load().await;
        stand.redis.tell(&["EVAL", spoil, "0", "nightlatch:[st]:*"]);
        drill.stay_under_load().await;
    }
    drill.fault_ends(unseen(Some("none|protocol|slow|timeout"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_with_a_redis_of_their_own_each_serve_the_same() {
    let (stand, other) = (Stand::new().await, RedisServer::launch());
    let nodes = vec![stand.node(), stand.node_by(other.port())];
    let mut drill =
        begin_with_guesses("Several nodes", "two different Redis", nodes, GUESSES_MAX_APART).await;
    drill.fault_begins();
    drill.wait_since_beginning(Duration::from_secs(full_or(30, 3))).await;
    drill.stay_under_load().await;
    drill.fault_ends(unseen(None)).await;
}

/// Copies, counters and news are sealed by keys of which each server has both, and another first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sealed_by_a_key_that_is_rotated_is_still_read() {
    let stand = Stand::new().await;
    let both = |first: &str, second: &str| format!("{first},{second}");
    let node = || stand.node().set("SESSION_SECRET_KEY", &both(OLD_SECRET, NEW_SECRET));
    let mut drill = begin(GROUP, "keys rotated on one first", vec![node(), node()]).await;
    drill.fault_begins();
    drill.server.set("SESSION_SECRET_KEY", &both(NEW_SECRET, OLD_SECRET));
    drill.restart().await;
    drill.wait_since_beginning(Duration::from_secs(full_or(20, 2))).await;
    drill.stay_under_load().await;
    // Until a start has looked at the record it knows nothing of it, and says so.
    let restarted =
        Expected { writes: Wanted::Either, checks: Wanted::Either, class: Some("none") };
    drill.fault_ends_among(restarted, unseen(None)).await;
}
