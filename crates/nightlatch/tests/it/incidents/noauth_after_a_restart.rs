//! Incident 5: Redis was restarted with `requirepass`, and every endpoint answered 500: even the API's
//! description, for it was throttled too.

use std::fs;

use nightlatch_testkit::redis::RedisServer;
use serde_json::json;

use super::{becomes_healthy, doctor, health, is_told_down, nobody_was_answered_500, says};
use crate::doctor::doctor_in;
use crate::metrics::becomes;
use crate::metrics::recorded::{FAULTY, Recording, WELL};
use crate::person::{PASSWORD, Person};
use crate::record::launch;
use crate::tokens::api_client::ApiClient;

/// What it wants from now on.
const REDIS_PASSWORD: &str = "sesame-of-the-restart";

/// Everything that a client of an API asks for.
async fn everything_is_served(alice: &mut Person, api: &mut ApiClient) {
    alice.log_in().await;
    assert_eq!(alice.session().await.status, 200);
    assert_eq!(api.exchange().await.status, 200);
    assert_eq!((api.session().await.status, api.verify().await.status), (200, 200));
    for path in ["/api/openapi.json", "/auth/profile/", "/.well-known/jwks.json"] {
        let answer = alice.client.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noauth_after_a_restart() {
    let mut redis = RedisServer::launch();
    let mut server = launch().set("REDIS_URL", &redis.url()).ready().await;
    becomes(&server, r#"nightlatch_dependency_up{dependency="redis"}"#, |up| up == 1).await;
    let mut alice = Person::logged_in(&server, "alice").await;
    let mut api = ApiClient::logged_in(&server, "alice").await;
    Person::registered(&server, "bob").await;
    let mut recording = Recording::default();
    for _ in 0..WELL {
        everything_is_served(&mut alice, &mut api).await;
        recording.add(&server).await;
    }
    redis.stop();
    redis.start_with(&[("requirepass", REDIS_PASSWORD)]);
    becomes(
        &server,
        r#"nightlatch_dependency_failing{dependency="redis",class="auth_required"}"#,
        |failing| failing == 1,
    )
    .await;
    for _ in 0..FAULTY {
        everything_is_served(&mut alice, &mut api).await;
        recording.add(&server).await;
    }
    // Throttling is not switched off with it: the sixth guess of a minute is one too many.
    let mut guesses = Vec::new();
    for _ in 0..6 {
        let guess = json!({ "username": "bob", "password": "not-it-not-it" });
        guesses.push(server.client().post_json("/api/v1/auth/login", &guess).await.status);
    }
    assert_eq!(guesses, [401, 401, 401, 401, 401, 429]);

    // Who operates it: what is wrong is that a password is missing, and no network is blamed.
    let told = is_told_down(&server, "redis", "auth_required").await;
    assert_eq!(told["finding"], "redis-auth-required");
    assert!(told["fix"].as_str().is_some_and(|fix| fix.contains("REDIS")), "{told}");
    let health_now = health(&server).await;
    assert_eq!(
        (&health_now["status"], &health_now["cache"]),
        (&"degraded".into(), &"error: auth_required".into())
    );
    nobody_was_answered_500(&server).await;
    recording.check(&["NightlatchRedisDown", "NightlatchRedisRefusesUs", "NightlatchBreakerOpen"]);

    let found = doctor(&server, &["redis"]);
    assert_eq!((found.wrong(), found.code), (vec!["redis-auth-required"], Some(1)));
    assert!(says(&found, "redis-auth-required", "why").contains("NOAUTH"), "{:#?}", found.findings);

    // By the name that the command had: the password that stands beside it is put where it belongs.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(".env");
    let text = format!("REDIS_URL={}/0\nREDIS_PASSWORD={REDIS_PASSWORD}\n", redis.url());
    fs::write(&file, text).expect("our folder takes a file");
    let found = doctor_in(folder.path(), &["redis", "--env-file", ".env"]);
    assert!(found.wrong().contains(&"redis-auth-required"), "{:#?}", found.findings);
    let fix = ["test_redis", "--fix-auth", "--env-file", ".env"];
    let fixed = launch().command(folder.path(), &fix).output().expect("it runs");
    assert!(fixed.status.success(), "{fixed:?}");
    let corrected = fs::read_to_string(&file).expect("it is there");
    let url = corrected.lines().next().and_then(|line| line.strip_prefix("REDIS_URL="));
    server.set("REDIS_URL", url.expect("the first line is what it was"));
    assert_eq!(server.terminate(), Some(0));
    server.start_again();
    server.wait_until_ready().await;
    becomes_healthy(&server).await;
    alice.client.move_to(server.address());
    assert_eq!(alice.session().await.status, 200, "still logged in");
    assert!(!server.log().contains(REDIS_PASSWORD) && !server.log().contains(PASSWORD));
}
