//! What `/metrics` tells, and where.

use std::collections::BTreeSet;

use nightlatch_testkit::client::Client;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::{Launch, NightlatchServer};
use nightlatch_testkit::wait::wait_until;

use crate::person::{LIMIT, Person};
use crate::record::launch;

/// The value of a line of the text, by everything that stands before it.
async fn value(client: &mut Client, series: &str) -> Option<u64> {
    let text = client.get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
}

async fn becomes(server: &NightlatchServer, series: &str, expected: impl Fn(u64) -> bool) {
    let mut client = server.client();
    wait_until(series, LIMIT, async || value(&mut client, series).await.is_some_and(&expected))
        .await;
}

fn with_redis(launch: Launch, redis: &RedisServer) -> Launch {
    launch.set("REDIS_URL", &redis.url())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_told_where_sessions_come_from_and_how_redis_does() {
    let redis = RedisServer::launch();
    let server = with_redis(launch(), &redis).ready().await;
    becomes(&server, r#"nightlatch_dependency_up{dependency="redis"}"#, |up| up == 1).await;
    becomes(&server, r#"nightlatch_breaker_state{dependency="redis"}"#, |open| open == 0).await;
    let mut person = Person::logged_in(&server, "alice").await;
    let checks = r#"nightlatch_session_lookups_total{source="memory"}"#;
    let before = value(&mut server.client(), checks).await.expect("it is told");
    for _ in 0..10 {
        assert_eq!(person.session().await.status, 200);
    }
    becomes(&server, checks, |now| now >= before + 10).await;
    let answers = r#"nightlatch_dependency_call_duration_seconds_count{dependency="database"}"#;
    becomes(&server, answers, |count| count > 0).await;
    redis.kill_9();
    becomes(&server, r#"nightlatch_dependency_up{dependency="redis"}"#, |up| up == 0).await;
    becomes(&server, r#"nightlatch_breaker_state{dependency="redis"}"#, |open| open == 1).await;
    let class = r#"nightlatch_dependency_failing{dependency="redis",class="unreachable"}"#;
    becomes(&server, class, |failing| failing == 1).await;
    // Whoever logs in would have been counted there.
    Person::logged_in(&server, "bob").await;
    let errors = r#"nightlatch_dependency_errors_total{dependency="redis",class="unreachable"}"#;
    becomes(&server, errors, |count| count >= 1).await;
    assert_eq!(value(&mut server.client(), "nightlatch_ready").await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_are_counted_by_what_became_of_them() {
    let server = launch().set("THROTTLE_LOGIN", "2/m").ready().await;
    let mut person = Person::registered(&server, "alice").await;
    for _ in 0..4 {
        person.try_password("wrong").await;
    }
    let throttled = r#"nightlatch_throttle_tries_total{outcome="throttled"}"#;
    becomes(&server, throttled, |count| count == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_address_of_their_own_metrics_are_nowhere_else() {
    let own = format!("127.0.0.1:{}", free_port());
    let server = launch().set("NIGHTLATCH_METRICS_LISTEN", &own).ready().await;
    let mut client = server.client();
    assert_eq!(client.get("/metrics").await.status, 404);
    let mut client = Client::new(own.parse().expect("an address"));
    let answer = client.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(answer.text().ends_with("# EOF\n"), "{}", answer.text());
    for path in ["/", "/health", "/auth/login", "/api/v1/session"] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
}

/// Names and kinds as documented: dashboards and alerts are written by them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_is_what_the_reference_says() {
    let redis = RedisServer::launch();
    let server = with_redis(launch(), &redis).ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    // What has not happened yet has no kind.
    redis.kill_9();
    let mut text = String::new();
    wait_until("an error is counted", LIMIT, async || {
        alice.log_in().await;
        text = server.client().get("/metrics").await.text();
        text.contains("nightlatch_dependency_errors_total{")
    })
    .await;
    let told: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|family| match family.split_once(' ').expect("a name and a kind") {
            (name, "counter") => format!("{name}_total counter"),
            (name, "info") => format!("{name}_info info"),
            (name, kind) => format!("{name} {kind}"),
        })
        .collect();
    let reference = include_str!("../../../../docs/metrics.md");
    let documented: BTreeSet<String> = reference
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| {
            let (name, rest) = row.split_once('`')?;
            Some(format!("{name} {}", rest.split('|').nth(1)?.trim()))
        })
        .collect();
    assert_eq!(told, documented);
}
