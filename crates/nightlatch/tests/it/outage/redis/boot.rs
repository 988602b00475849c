//! Redis cannot be used from the start on: by how it is configured, by its certificates, by its name.

use std::time::Duration;

use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::sentinel::{PRIMARY, Sentinel};

use super::{GUESSES_MAX, throttled, unseen};
use crate::outage::drill::{Drill, full_or};
use crate::outage::postgres::Way;

const TLS: &str = "Redis, TLS and DNS";

const SENTINEL: &str = "Sentinel, Cluster";

/// Two servers with a Redis that cannot be used and is not mended.
async fn from_the_start_on(
    group: &'static str,
    fault: &'static str,
    url: &str,
    class: &'static str,
) {
    let way = Way::shared().await;
    let node = || throttled(way.straight_node()).set("REDIS_URL", url);
    let mut drill = Drill::begin_ill(group, fault, vec![node(), node()]).await;
    drill.guess_meanwhile(GUESSES_MAX).await;
    drill.fault_begins();
    drill.stay_ill(class, Duration::from_secs(full_or(10, 0))).await;
    drill.fault_stays(unseen(Some(class))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_whose_certificate_is_not_believed_is_done_without() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let open = [("tls-auth-clients", "no")];
    let good = RedisServer::launch_tls(&authority, ("localhost", 2), &open);
    let url = |redis: &RedisServer, authority: &Authority| {
        let ca = authority.path("ca.pem");
        format!("rediss://localhost:{}?ssl_ca_certs={}", redis.port(), ca.display())
    };
    from_the_start_on(TLS, "unknown CA", &url(&good, &stranger), "tls_untrusted").await;
    let plain = format!("redis://localhost:{}", good.port());
    from_the_start_on(TLS, "no TLS to a TLS port", &plain, "tls_required").await;
    let expired = RedisServer::launch_tls(&authority, ("localhost", -1), &open);
    from_the_start_on(TLS, "expired", &url(&expired, &authority), "tls_expired").await;
    let other = RedisServer::launch_tls(&authority, ("other.test", 2), &open);
    from_the_start_on(TLS, "other host name", &url(&other, &authority), "tls_hostname").await;
    let strict = RedisServer::launch_tls(&authority, ("localhost", 2), &[]);
    let url = url(&strict, &authority);
    from_the_start_on(TLS, "client certificate demanded", &url, "tls_client_cert").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_speaks_no_tls_or_has_no_name_is_done_without() {
    let redis = RedisServer::launch();
    let url = format!("rediss://localhost:{}?ssl_cert_reqs=none", redis.port());
    from_the_start_on(TLS, "TLS to a plain port", &url, "tls_not_spoken").await;
    from_the_start_on(TLS, "name unknown", "redis://nowhere.invalid:6379", "dns").await;
}

/// What it says may be as old as what it follows is dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standing_replica_is_not_read_from() {
    let (primary, replica) = (RedisServer::launch(), RedisServer::launch());
    replica.tell(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    from_the_start_on("Redis, data", "a standing replica", &replica.url(), "readonly").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_name_no_primary_are_done_without() {
    let redis = RedisServer::launch();
    let (locked, open) = (Sentinel::launch(&redis, Some("secret")), Sentinel::launch(&redis, None));
    let at = |port: u16, name: &str| format!("redis+sentinel://127.0.0.1:{port}/{name}");
    let url = at(locked.port(), PRIMARY);
    from_the_start_on(SENTINEL, "Sentinels want a password", &url, "auth_required").await;
    from_the_start_on(SENTINEL, "no primary", &at(open.port(), "another"), "masterdown").await;
    let cluster = format!("redis+cluster://127.0.0.1:{}", free_port());
    from_the_start_on(SENTINEL, "no server of a Cluster", &cluster, "unreachable").await;
}
