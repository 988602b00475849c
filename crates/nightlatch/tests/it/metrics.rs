//! What `/metrics` tells, and where.

mod alerts;
mod dashboard;
mod promql;
pub(crate) mod recorded;
mod reference;
pub(crate) mod scrape;

use std::time::Duration;

use nightlatch_core::{Clock as _, SystemClock};
use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::client::Client;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::{Launch, NightlatchServer};
use nightlatch_testkit::wait::wait_until;

use crate::person::{LIMIT, PASSWORD, Person};
use crate::record::launch;

use reference::Reference;
use scrape::Scrape;

/// The value of a line of the text, by everything that stands before it.
async fn value(client: &mut Client, series: &str) -> Option<u64> {
    let text = client.get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
}

pub(crate) async fn becomes(
    server: &NightlatchServer,
    series: &str,
    expected: impl Fn(u64) -> bool,
) {
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
    let checks = r#"nightlatch_session_lookups_total{source="memory",outcome="session"}"#;
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

/// Names, kinds, units and labels as documented: dashboards and alerts are written by them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_is_what_the_reference_says() {
    let authority = Authority::new();
    let open = [("tls-auth-clients", "no")];
    let redis = RedisServer::launch_tls(&authority, ("localhost", 3), &open);
    let ca = authority.path("ca.pem");
    let url = format!("rediss://localhost:{}/0?ssl_ca_certs={}", redis.port(), ca.display());
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let server = launch()
        .set("REDIS_URL", &url)
        .set("AUTH_SERVICE_URL", &nobody)
        .set("SERVICE_ID", "nightlatch")
        .set("SERVICE_SECRET", "violet-anchor-parade-47-violet-anchor")
        .ready()
        .await;
    becomes(&server, r#"nightlatch_dependency_up{dependency="redis"}"#, |up| up == 1).await;
    let expiry = r#"nightlatch_certificate_expiry_timestamp_seconds{dependency="redis"}"#;
    let expiry = Scrape::of(&mut server.client()).await.value(expiry).expect("it was shown");
    let now = u64::try_from(SystemClock.wall().as_micros()).expect("it is after 1970");
    let left = Duration::from_secs_f64(expiry).saturating_sub(Duration::from_micros(now));
    let days = Duration::from_hours(3 * 24 - 1)..Duration::from_hours(3 * 24 + 1);
    assert!(days.contains(&left), "{left:?} are left of 3 days");
    // What has not happened yet has no kind.
    redis.kill_9();
    let mut alice = Person::new(&server, "alice");
    let mut told = Scrape::default();
    wait_until("an error is counted, and the key known", LIMIT, async || {
        alice.try_password(PASSWORD).await;
        told = Scrape::of(&mut server.client()).await;
        ["nightlatch_dependency_errors_total", "nightlatch_signing_key_start_timestamp_seconds"]
            .iter()
            .all(|name| told.series.iter().any(|series| series.name == *name))
    })
    .await;
    let reference = Reference::read();
    assert_eq!(told.families(), reference.families());
    for series in &told.series {
        reference.check_series(series);
    }
    for (metric, label, value) in reference.values_always_told() {
        let is_told = told.series.iter().any(|series| {
            reference.family_of(&series.name) == Some(metric)
                && series.labels.iter().any(|(name, told)| name == label && told == value)
        });
        assert!(is_told, "{metric} is told with no {label}={value}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_do_is_counted_by_what_became_of_it() {
    let server = launch().ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    let mut elsewhere = alice.on_another_device(&server).await;
    alice.try_password("wrong").await;
    alice.session().await;
    elsewhere.log_out().await;
    let told = Scrape::of(&mut server.client()).await;
    for (series, expected) in [
        (r#"nightlatch_logins_total{outcome="invalid_credentials"}"#, 1.0),
        (r#"nightlatch_logins_total{outcome="upstream_dns"}"#, 0.0),
        (r#"nightlatch_http_requests_total{endpoint="login",status="401"}"#, 1.0),
        (r#"nightlatch_http_requests_total{endpoint="login",status="500"}"#, 0.0),
        (r#"nightlatch_http_requests_total{endpoint="logout",status="200"}"#, 1.0),
        (r#"nightlatch_sessions_ended_total{cause="logout"}"#, 1.0),
        (r#"nightlatch_throttle_refusals_total{rule="login"}"#, 0.0),
        ("nightlatch_logouts_pending", 0.0),
        ("nightlatch_nodes_live", 1.0),
        ("nightlatch_hash_queue_jobs", 0.0),
    ] {
        assert_eq!(told.value(series), Some(expected), "{series}");
    }
    let begun = told.value("nightlatch_sessions_started_total");
    assert_eq!(told.value(r#"nightlatch_logins_total{outcome="success"}"#), begun);
    assert_eq!(told.value("nightlatch_login_duration_seconds_count"), begun);
    assert!(told.value("nightlatch_hash_wait_seconds_count").is_some_and(|count| count >= 3.0));
    assert!(told.value("process_open_fds").is_some_and(|open| open > 5.0));
    assert!(told.value("process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
    assert!(told.value("process_start_time_seconds").is_some_and(|at| at > 1.7e9));
}
