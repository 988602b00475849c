//! Every command, and every page for operators, with a secret in each setting that can hold one: whatever is
//! printed is searched for all of them.
//!
//! What is beneath refuses or is away, since failures are what secrets get into.

use std::collections::BTreeSet;
use std::fs;

use nightlatch_testkit::auth_service::{Conduct, FakeAuthService};
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::{Launch, NightlatchServer};
use nightlatch_testkit::wait::wait_until;
use serde_json::json;

use crate::person::{LIMIT, PASSWORD, Person};
use crate::record::{Record, launch, on_each_record};

on_each_record!(no_command_and_no_page_prints_a_secret);

const SESSION_SECRET: &str = "hJ7fXw2NzB8vKt3QyL6hSj9RfC4dGa7E";
const CSRF_SECRET: &str = "qR4xW8pLq1Zs6TnYc4Rk9HbM2gUe7JdF";
const REDIS_PASSWORD: &str = "tulip-of-redis-4711";
const SERVICE_SECRET: &str = "tulip-of-the-service-4712";
const COLLECTOR_KEY: &str = "tulip-of-the-collector-4713";
const BROKER_PASSWORD: &str = "tulip-of-the-broker-4714";
const NEW_PASSWORD: &str = "meadow-lantern-copper-85";
const WEAK_PASSWORD: &str = "kestrel";
const PLAIN_IN_A_CSV: &str = "walnut-ferry-harbour-93";
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuszQp.kxDfcKJ/.WVjdS4lgOCgVO2I32";

/// Each with its input.
fn commands(server: &NightlatchServer, session: &str) -> Vec<(Vec<String>, String)> {
    let import = format!("username,password\nleslie,{HASH}\nnobody,{PLAIN_IN_A_CSV}\n");
    let hashes = json!({ "id": 1, "hash": HASH, "password": PASSWORD });
    let origin = server.origin();
    let table: &[(&[&str], &str)] = &[
        (&["config"], ""),
        (&["config", "--json"], ""),
        (&["doctor"], ""),
        (&["doctor", "all", "--json", "--strict"], ""),
        (&["doctor", "env"], ""),
        (&["doctor", "redis"], ""),
        (&["doctor", "database"], ""),
        (&["doctor", "auth-service"], ""),
        (&["doctor", "session", "--url", &origin], ""),
        (&["doctor", "session", "--url", &origin, "--user", "alice"], PASSWORD),
        (&["doctor", "session", "--url", &origin, "--user", "alice"], WEAK_PASSWORD),
        (&["test_redis"], ""),
        (&["migrate"], ""),
        (&["user", "add", "grace"], WEAK_PASSWORD),
        (&["user", "add", "grace"], NEW_PASSWORD),
        (&["user", "add", "grace"], NEW_PASSWORD),
        (&["user", "list"], ""),
        (&["user", "show", "grace", "--json"], ""),
        (&["user", "set-password", "grace"], WEAK_PASSWORD),
        (&["user", "set-password", "grace"], NEW_PASSWORD),
        (&["user", "set-groups", "grace", "staff"], ""),
        (&["user", "disable", "grace"], ""),
        (&["user", "enable", "grace"], ""),
        (&["user", "import", "-"], &import),
        (&["user", "import", "-", "--format", "jsonl"], &import),
        (&["session", "list"], ""),
        (&["session", "list", "--json"], ""),
        (&["session", "revoke", session], ""),
        (&["session", "revoke", "--all"], ""),
        (&["keys", "list"], ""),
        (&["keys", "rotate"], ""),
        (&["backup", "copy.db"], ""),
        (&["debug", "verify-hash"], &hashes.to_string()),
        (&["user", "delete", "grace", "--yes"], ""),
    ];
    let owned = |(words, input): &(&[&str], &str)| {
        (words.iter().map(|word| (*word).to_owned()).collect(), format!("{input}\n"))
    };
    table.iter().map(owned).collect()
}

/// A secret in each setting that can hold one.
fn with_secrets(launch: Launch, redis: &RedisServer, service: &FakeAuthService) -> Launch {
    let redis = format!("redis://:{REDIS_PASSWORD}@127.0.0.1:{}/0", redis.port());
    let broker = format!("redis://:{BROKER_PASSWORD}@127.0.0.1:{}/0", free_port());
    launch
        .set("LOG_LEVEL", "trace")
        .set("SESSION_SECRET_KEY", SESSION_SECRET)
        .set("CSRF_SECRET_KEY", CSRF_SECRET)
        .set("REDIS_URL", &redis)
        .set("CELERY_BROKER_URL", &broker)
        .set("AUTH_SERVICE_URL", &service.url())
        .set("SERVICE_ID", "nightlatch")
        .set("SERVICE_SECRET", SERVICE_SECRET)
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://127.0.0.1:{}", free_port()))
        .set("OTEL_EXPORTER_OTLP_HEADERS", &format!("x-key={COLLECTOR_KEY}"))
}

async fn no_command_and_no_page_prints_a_secret(record: Record) {
    // It wants another password than the one that is configured.
    let redis = RedisServer::launch_with(&[("requirepass", "another-password-than-that")]);
    let service = FakeAuthService::start().await;
    // What it says back is the secret itself.
    service.set(Conduct::answers(403, &format!("{{\"error\":\"{SERVICE_SECRET} {PASSWORD}\"}}")));
    let mut stand = record.serve_with(with_secrets(launch(), &redis, &service)).await;
    let server = &stand.server;
    let added = server.command_given(&["user", "add", "alice"], PASSWORD);
    assert!(added.status.success(), "{added:?}");
    let mut alice = Person::new(server, "alice");
    alice.log_in().await;
    let refused = Person::new(server, "mallory").try_password(PASSWORD).await;
    assert_eq!(refused.status, 502, "the auth service was asked: {}", refused.text());
    wait_until("Redis refuses", LIMIT, async || {
        server.client().get("/health").await.json()["cache_class"] == "auth_failed"
    })
    .await;

    let mut secrets: BTreeSet<String> = [
        SESSION_SECRET,
        CSRF_SECRET,
        REDIS_PASSWORD,
        SERVICE_SECRET,
        COLLECTOR_KEY,
        BROKER_PASSWORD,
        PASSWORD,
        NEW_PASSWORD,
        WEAK_PASSWORD,
        PLAIN_IN_A_CSV,
        HASH,
        nightlatch_testkit::postgres::PASSWORD,
    ]
    .map(str::to_owned)
    .into();
    secrets.extend(alice.client.cookies().values().cloned());
    secrets.insert(alice.csrf.clone());
    let mut printed = vec![("the refusal".to_owned(), refused.text())];
    for path in ["/health", "/health/ready", "/metrics", "/status"] {
        printed.push((path.to_owned(), server.client().get(path).await.text()));
    }
    let session = alice.session_id().await;
    for (words, input) in commands(server, &session) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = server.command_given(&words, &input);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.code().is_some_and(|code| code <= 2), "{words:?}: {said}");
        assert!(!said.contains("panicked"), "{words:?}: {said}");
        printed.push((words.join(" "), said));
    }
    assert!(printed.iter().filter(|(_, said)| !said.is_empty()).count() > 30, "they say something");
    fs::remove_file(server.folder().join("copy.db")).ok();
    assert_eq!(stand.server.terminate(), Some(0));
    printed.push(("the log".to_owned(), stand.server.log()));
    for (what, said) in printed {
        for secret in &secrets {
            assert!(!said.contains(secret), "{what} prints {secret:?}:\n{said}");
        }
    }
}
