//! Incident 4: with Redis gone `/api/auth/refresh/` answered 500, and the cure switched blacklist and
//! throttling off: a token that had been logged out was good again.

use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::redis::RedisServer;
use serde_json::json;

use super::{becomes_healthy, doctor, health, is_told_down, lines, nobody_was_answered_500, says};
use crate::metrics::becomes;
use crate::metrics::recorded::{FAULTY, Recording, WELL};
use crate::metrics::scrape::Scrape;
use crate::person::Person;
use crate::record::launch;
use crate::tokens::api_client::ApiClient;

const RENEWED: &str = r#"nightlatch_token_refreshes_total{outcome="renewed"}"#;

/// Everything of a program that comes back for its next token.
async fn goes_on(api: &mut ApiClient) {
    let before = api.refresh.clone();
    assert_eq!(api.exchange().await.status, 200);
    assert_ne!(api.refresh, before);
    assert_eq!((api.verify().await.status, api.session().await.status), (200, 200));
}

/// Everything of one that was logged out.
async fn stays_out(api: &mut ApiClient) {
    let refused = api.exchange().await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "token_not_valid"));
    assert_eq!((api.verify().await.status, api.session().await.status), (401, 401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_while_redis_is_gone() {
    let redis = RedisServer::launch();
    let server = launch().set("REDIS_URL", &redis.url()).ready().await;
    becomes(&server, r#"nightlatch_dependency_up{dependency="redis"}"#, |up| up == 1).await;
    Person::registered(&server, "alice").await;
    Person::registered(&server, "bob").await;
    let mut api = ApiClient::logged_in(&server, "alice").await;
    let mut out_before = ApiClient::logged_in(&server, "alice").await;
    let mut out_meanwhile = ApiClient::logged_in(&server, "alice").await;
    let ended = out_before.send(Method::POST, "/api/v1/auth/logout").await;
    assert_eq!(ended.status, 200);
    let mut recording = Recording::default();
    for _ in 0..WELL {
        goes_on(&mut api).await;
        recording.add(&server).await;
    }
    let before = Scrape::of(&mut server.client()).await.value(RENEWED);
    redis.kill_9();
    goes_on(&mut api).await;
    is_told_down(&server, "redis", "unreachable").await;
    assert_eq!(out_meanwhile.revoke().await.status, 200);
    for _ in 0..FAULTY {
        goes_on(&mut api).await;
        stays_out(&mut out_before).await;
        stays_out(&mut out_meanwhile).await;
        recording.add(&server).await;
    }
    // On the path that it broke on; and whose answer was lost gets the same again.
    let presented = api.refresh.clone();
    let body = json!({ "refresh": presented });
    let answer = server.client().post_json("/api/auth/refresh/", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(api.exchange().await.status, 200);
    assert_eq!(answer.json()["refresh"], api.refresh.as_str());
    // Throttling is as it was.
    let mut guesses = Vec::new();
    for _ in 0..6 {
        let guess = json!({ "username": "bob", "password": "not-it-not-it" });
        guesses.push(server.client().post_json("/api/token/", &guess).await.status);
    }
    assert_eq!(guesses, [401, 401, 401, 401, 401, 429]);

    let told = is_told_down(&server, "redis", "unreachable").await;
    assert_eq!(told["finding"], "redis-unreachable");
    assert!(lines(&server, "token.reused").is_empty(), "nobody is taken for a thief");
    let health_now = health(&server).await;
    assert_eq!(
        (&health_now["status"], &health_now["cache"]),
        (&"degraded".into(), &"error: unreachable".into())
    );
    nobody_was_answered_500(&server).await;
    assert!(Scrape::of(&mut server.client()).await.value(RENEWED) > before);
    recording.check(&["NightlatchRedisDown", "NightlatchBreakerOpen"]);

    let found = doctor(&server, &["redis"]);
    assert_eq!((found.wrong(), found.code), (vec!["redis-unreachable"], Some(1)));
    // By the way that programs go it finds nothing wrong.
    let found = doctor(&server, &["session", "--url", &server.origin()]);
    assert_eq!(found.wrong(), [""; 0], "{:#?}", found.findings);
    assert!(says(&found, "session-steps", "text").contains("refresh "), "{:#?}", found.findings);

    redis.start();
    becomes_healthy(&server).await;
    goes_on(&mut api).await;
    stays_out(&mut out_before).await;
    stays_out(&mut out_meanwhile).await;
}
