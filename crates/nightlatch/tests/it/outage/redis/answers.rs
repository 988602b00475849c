//! Redis answers, and not what it should.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_testkit::chaos_proxy::Fault;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::wait::wait_until;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Stand, unseen};
use crate::outage::drill::full_or;

const GROUP: &str = "Redis, answers";

/// How long Redis may take to notice something.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_from_redis_is_no_answer() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "garbage").await;
    drill.fault_begins();
    stand.proxy.set(Fault::Garbage).await;
    drill.wait_for_class_everywhere("protocol|closed").await;
    drill.stay_under_load().await;
    stand.proxy.set(Fault::None).await;
    drill.fault_ends(unseen(Some("protocol|closed"))).await;
}

/// Redis itself says no, by its own settings.
async fn it_says(name: &'static str, class: &'static str, begin: &[&[&str]], end: &[&[&str]]) {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, name).await;
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
async fn a_redis_that_answers_by_half_is_done_without() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "cut answers").await;
    drill.fault_begins();
    for _ in 0..5 {
        stand.proxy.set(Fault::CutAfter(3)).await;
        drill.stay_under_load().await;
    }
    stand.proxy.set(Fault::None).await;
    drill.fault_ends(unseen(Some("none|closed|protocol"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_changed_under_us_is_named() {
    let stand = Stand::with(&[("requirepass", "old")], ":old@").await;
    let mut drill = stand.begin(GROUP, "WRONGPASS (rotated under us)").await;
    drill.fault_begins();
    let with = |password: &'static str, words: &[&'static str]| {
        stand.redis.tell(&[&["-a", password, "--no-auth-warning"], words].concat());
    };
    with("old", &["CONFIG", "SET", "requirepass", "new"]);
    with("new", &["CLIENT", "KILL", "TYPE", "pubsub"]);
    drill.wait_for_class_everywhere("auth_failed").await;
    drill.stay_under_load().await;
    with("new", &["CONFIG", "SET", "requirepass", "old"]);
    drill.fault_ends(unseen(Some("auth_failed"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_taken_is_named() {
    let begin: &[&[&str]] = &[&["ACL", "SETUSER", "default", "-set"]];
    it_says("NOPERM", "forbidden", begin, &[&["ACL", "SETUSER", "default", "+set"]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_scripts_are_refused_servers_count_by_themselves() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "scripts refused").await;
    drill.fault_begins();
    stand.redis.tell(&["ACL", "SETUSER", "default", "-@scripting"]);
    drill.stay_under_load().await;
    stand.redis.tell(&["ACL", "SETUSER", "default", "+@scripting"]);
    drill.fault_ends(unseen(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_has_lost_its_primary_is_done_without() {
    let port = free_port().to_string();
    let begin: &[&[&str]] =
        &[&["CONFIG", "SET", "replica-serve-stale-data", "no"], &["REPLICAOF", "127.0.0.1", &port]];
    it_says("MASTERDOWN", "masterdown|readonly", begin, &[&["REPLICAOF", "NO", "ONE"]]).await;
}

/// Does something that Redis is busy with, and does not wait for it.
fn keep_busy(redis: &Arc<RedisServer>, words: &'static [&'static str]) -> JoinSet<()> {
    let (redis, mut tasks) = (Arc::clone(redis), JoinSet::new());
    tasks.spawn_blocking(move || drop(redis.ask(words)));
    tasks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_loading_is_done_without() {
    let stand = Stand::new().await;
    for words in [
        &["DEBUG", "POPULATE", "20000"][..],
        &["CONFIG", "SET", "key-load-delay", "300"],
        &["CONFIG", "SET", "loading-process-events-interval-bytes", "1024"],
    ] {
        stand.redis.tell(words);
    }
    let mut drill = stand.begin(GROUP, "LOADING").await;
    drill.fault_begins();
    let loading = keep_busy(&stand.redis, &["DEBUG", "RELOAD"]);
    drill.wait_for_class_everywhere("loading").await;
    drill.stay_under_load().await;
    loading.join_all().await;
    drill.fault_ends(unseen(Some("loading|slow|timeout"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_runs_a_long_script_is_done_without() {
    let stand = Stand::new().await;
    stand.redis.tell(&["CONFIG", "SET", "busy-reply-threshold", "200"]);
    let mut drill = stand.begin(GROUP, "BUSY").await;
    drill.fault_begins();
    let looping = keep_busy(&stand.redis, &["EVAL", "while true do end", "0"]);
    drill.wait_for_class_everywhere("busy").await;
    drill.stay_under_load().await;
    stand.redis.tell(&["SCRIPT", "KILL"]);
    looping.join_all().await;
    drill.fault_ends(unseen(Some("busy|slow|timeout"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_cannot_save_is_done_without() {
    let stand = Stand::new().await;
    stand.redis.tell(&["CONFIG", "SET", "save", "3600 1"]);
    let mut drill = stand.begin(GROUP, "MISCONF").await;
    drill.fault_begins();
    let locked = fs::Permissions::from_mode(0o500);
    fs::set_permissions(stand.redis.folder(), locked).expect("it is ours");
    let _ = stand.redis.ask(&["BGSAVE"]);
    wait_until("it cannot save", LIMIT, async || {
        stand.redis.ask(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err")
    })
    .await;
    drill.wait_for_class_everywhere("misconf").await;
    drill.stay_under_load().await;
    stand.redis.tell(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    let open = fs::Permissions::from_mode(0o700);
    fs::set_permissions(stand.redis.folder(), open).expect("it is ours");
    drill.fault_ends(unseen(Some("misconf"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_takes_no_more_clients_is_done_without() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "max clients").await;
    drill.fault_begins();
    let mut held = TcpStream::connect(("127.0.0.1", stand.redis.port())).await.expect("it is up");
    held.write_all(b"CONFIG SET maxclients 1\r\nCLIENT KILL TYPE pubsub\r\n")
        .await
        .expect("it is up");
    drill.wait_for_class_everywhere("maxclients").await;
    drill.stay_under_load().await;
    held.write_all(b"CONFIG SET maxclients 10000\r\n").await.expect("it is up");
    drill.fault_ends(unseen(Some("maxclients|closed"))).await;
}

/// It takes nobody from elsewhere as long as it has no password; here everybody is from here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_in_protected_mode_is_done_without() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "protected mode").await;
    drill.fault_begins();
    let denied = "-DENIED Redis is running in protected mode because protected mode is enabled\r\n";
    stand.proxy.set(Fault::Says(denied)).await;
    drill.wait_for_class_everywhere("forbidden").await;
    drill.stay_under_load().await;
    stand.proxy.set(Fault::None).await;
    drill.fault_ends(unseen(Some("forbidden|closed"))).await;
}

/// As a proxy or a server from before Redis 6 does: copies and counters are shared all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_does_not_know_the_greeting_is_used() {
    let stand = Stand::with(&[("rename-command", "HELLO NOBODY-SAYS-THIS")], "").await;
    let mut drill = stand.begin(GROUP, "HELLO refused").await;
    drill.fault_begins();
    drill.wait_since_beginning(Duration::from_secs(full_or(30, 2))).await;
    drill.stay_under_load().await;
    drill.fault_ends(unseen(None)).await;
}

/// Every answer is another question's from then on, until the connection is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_shifted_by_one_are_not_believed() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "one extra reply (answers shifted by one)").await;
    drill.fault_begins();
    for extra in ["+OK\r\n", "$-1\r\n", "$5\r\nhello\r\n", ":1\r\n"] {
        stand.proxy.set(Fault::SaysFirst(extra)).await;
        drill.stay_under_load().await;
        // What follows is in order, one too late.
        stand.proxy.set(Fault::None).await;
        drill.stay_under_load().await;
    }
    drill.fault_ends(unseen(Some("none|protocol|closed|slow|timeout"))).await;
}

/// For a tenth of the time it says no to what is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_now_and_then_are_no_reason_to_give_it_up() {
    let stand = Stand::new().await;
    let mut drill = stand.begin(GROUP, "10 % errors").await;
    drill.fault_begins();
    for _ in 0..full_or(100, 10) {
        stand.redis.tell(&["ACL", "SETUSER", "default", "-getrange"]);
        drill.wait_from_now(Duration::from_millis(30)).await;
        stand.redis.tell(&["ACL", "SETUSER", "default", "+getrange"]);
        drill.wait_from_now(Duration::from_millis(270)).await;
    }
    drill.stay_under_load().await;
    drill.fault_ends(unseen(Some("none|forbidden"))).await;
}
