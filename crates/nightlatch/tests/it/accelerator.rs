//! A Redis that is configured wrongly is told once, with the line to change, and the server serves.

use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::wait::wait_until;
use serde_json::{Value, json};

use crate::person::{LIMIT, Person};
use crate::record::launch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_redis_is_told_once_with_the_line_to_change() {
    let redis = RedisServer::launch_with(&[("requirepass", "right-password")]);
    let port = redis.port();
    for (url, class, fix) in [
        (format!("redis://127.0.0.1:{port}"), "auth_required", "redis://:PASSWORD@"),
        (format!("redis://:guess@127.0.0.1:{port}"), "auth_failed", "password in REDIS_URL"),
        (format!("redis+cluster://:right-password@127.0.0.1:{port}"), "cluster_down", "redis://"),
        (format!("rediss://127.0.0.1:{port}"), "tls_not_spoken", "port for TLS in REDIS_URL"),
        ("redis://nowhere.invalid".to_owned(), "dns", "host name in REDIS_URL"),
    ] {
        let server = launch().set("REDIS_URL", &url).ready().await;
        let about = || {
            let lines = server.log();
            let parsed = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            parsed.filter(|line| line["event"] == "dependency.down").collect::<Vec<_>>()
        };
        wait_until(&url, LIMIT, async || !about().is_empty()).await;
        Person::logged_in(&server, "alice").await;
        let told = about();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["class"], class, "{told:?}");
        let finding = format!("redis-{}", class.replace('_', "-"));
        assert_eq!(told[0]["finding"], finding.as_str(), "{told:?}");
        let told_fix = told[0]["fix"].as_str().unwrap_or_default();
        assert!(told_fix.contains(fix) && told_fix.contains("REDIS_URL"), "{told_fix}");
        let health = server.client().get("/health").await.json();
        let of_health = json!({
            "id": finding, "dependency": "redis", "class": class, "fix": told_fix,
        });
        assert_eq!(health["findings"], json!([of_health]));
        assert!(!server.log().contains("guess") && !server.log().contains("right-password"));
    }
}

#[tokio::test]
async fn in_production_health_tells_the_class_and_nothing_of_what_is_beneath() {
    let server = launch()
        .set("ENVIRONMENT", "production")
        .set("PUBLIC_URL", "https://login.example.com")
        .set("SESSION_SECRET_KEY", "production-secret-production-secret-1")
        .set("REDIS_URL", "redis://127.0.0.1:1")
        .ready()
        .await;
    let told = || server.log().contains("dependency.down");
    wait_until("Redis is told to be down", LIMIT, async || told()).await;
    let health = server.client().get("/health").await.json();
    assert_eq!(health["cache_class"], "unreachable");
    assert_eq!(health["findings"], Value::Null);
}

/// Of settings that the server itself has nothing to say against.
#[tokio::test]
async fn a_start_tells_what_the_doctor_would_find_without_a_secret() {
    const SHARED: &str = "sesame-of-two-purposes-0123456789abcdef";
    let server = launch().set("SESSION_SECRET_KEY", SHARED).set("SECRET_KEY", SHARED).ready().await;
    let log = server.log();
    let told = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found: Vec<_> = told.filter(|line| line["event"] == "config.finding").collect();
    assert_eq!(found.len(), 1, "{log}");
    assert_eq!(found[0]["finding"], "secret-shared");
    assert!(!log.contains("sesame"), "{log}");
}
