//! What is beneath goes away: nobody is told that a token is bad because of that.

use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::clock::FakeClock;
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::wait::wait_until;

use super::ApiClient;
use super::keys::{ED25519, private_key};
use crate::person::{LIMIT, Person};
use crate::record::launch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_record_access_tokens_are_good_and_exchanges_wait() {
    let postgres = PostgresServer::launch();
    let database = postgres.create_database();
    let server = launch().set("DATABASE_URL", &postgres.url(&database)).ready().await;
    Person::registered(&server, "alice").await;
    let mut api = ApiClient::logged_in(&server, "alice").await;
    let mut out = ApiClient::logged_in(&server, "alice").await;
    assert_eq!(out.send(Method::POST, "/api/v1/auth/logout").await.status, 200);
    postgres.stop();
    for _ in 0..20 {
        assert_eq!((api.verify().await.status, api.session().await.status), (200, 200));
        assert_eq!((out.verify().await.status, out.session().await.status), (401, 401));
        let refused = api.exchange().await;
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.header("retry-after").is_some());
    }
    // A logout binds this server at once, and is said to be done when it is.
    let mut leaves = api.at(&server);
    assert_eq!(leaves.send(Method::POST, "/api/v1/auth/logout").await.code(), "logout_pending");
    assert_eq!((leaves.verify().await.status, leaves.session().await.status), (401, 401));
    assert_eq!(leaves.exchange().await.status, 401);
    postgres.start();
    wait_until("the logout is done", LIMIT, async || {
        leaves.send(Method::POST, "/api/v1/auth/logout").await.status == 401
            && server.client().get("/health").await.json()["database"] == "connected"
    })
    .await;
    assert_eq!(api.exchange().await.status, 401, "it was this session's");
    assert_eq!(ApiClient::logged_in(&server, "alice").await.exchange().await.status, 200);
}

/// The network holds an exchange; its client asks elsewhere, goes on from there, and then it arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_the_network_held_logs_nobody_out() {
    let postgres = PostgresServer::shared();
    let database = postgres.create_database();
    let straight = postgres.url(&database);
    let way = ChaosProxy::start(postgres.port()).await;
    let (port, proxy) = (postgres.port(), way.port());
    let winding = straight.replace(&format!(":{port}/"), &format!(":{proxy}/"));
    let server = launch().set("DATABASE_URL", &straight).ready().await;
    let far = launch().set("DATABASE_URL", &winding).ready().await;
    Person::registered(&server, "alice").await;
    for _ in 0..4 {
        let mut api = ApiClient::logged_in(&server, "alice").await;
        assert_eq!(api.at(&far).session().await.status, 200);
        way.set(Fault::Silent).await;
        assert_eq!(api.at(&far).exchange().await.status, 503);
        assert_eq!((api.exchange().await.status, api.exchange().await.status), (200, 200));
        // Who exchanges it now comes after all that.
        way.set(Fault::None).await;
        let mut there = api.at(&far);
        wait_until("the record is reached", LIMIT, async || there.exchange().await.status == 200)
            .await;
        assert_eq!((there.verify().await.status, there.exchange().await.status), (200, 200));
    }
}

/// Incident 4: adding Redis broke the refresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_never_in_the_way_of_tokens() {
    let redis = RedisServer::launch();
    let server = launch().set("REDIS_URL", &redis.url()).ready().await;
    Person::registered(&server, "alice").await;
    let mut api = ApiClient::logged_in(&server, "alice").await;
    let mut out = ApiClient::logged_in(&server, "alice").await;
    for step in 0..3 {
        match step {
            0 => {}
            1 => redis.pause(),
            _ => {
                redis.resume();
                redis.kill_9();
            }
        }
        for _ in 0..10 {
            assert_eq!(api.exchange().await.status, 200, "step {step}");
            assert_eq!((api.verify().await.status, api.session().await.status), (200, 200));
        }
        if step == 1 {
            assert_eq!(out.send(Method::POST, "/api/v1/auth/logout").await.status, 200);
        }
        if step > 0 {
            assert_eq!((out.verify().await.status, out.exchange().await.status), (401, 401));
        }
    }
    redis.start();
    let health = async || server.client().get("/health").await.json()["cache"] == "connected";
    wait_until("it is used again", LIMIT, health).await;
    assert_eq!((out.verify().await.status, out.session().await.status), (401, 401));
    assert_eq!(api.exchange().await.status, 200);
}

/// A server whose clock is wrong does not know it before the record has told the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_not_told_the_time_calls_no_token_over() {
    let postgres = PostgresServer::launch();
    let database = postgres.create_database();
    let key = private_key(ED25519);
    let secret = "a secret that both servers of this test have been given";
    let launch = || {
        launch()
            .set("DATABASE_URL", &postgres.url(&database))
            .set("JWT_PRIVATE_KEY", &key)
            .set("SESSION_SECRET_KEY", secret)
    };
    let right = launch().ready().await;
    Person::registered(&right, "alice").await;
    let api = ApiClient::logged_in(&right, "alice").await;
    postgres.stop();
    let clock = FakeClock::of_wall();
    clock.move_to(7200);
    let wrong = launch().under(&clock).start();
    let mut there = api.at(&wrong);
    for _ in 0..5 {
        let (verified, exchanged) = (there.verify().await, there.exchange().await);
        assert_eq!((verified.status, exchanged.status), (503, 503), "{}", verified.text());
        assert!(verified.header("retry-after").is_some());
    }
    postgres.start();
    wrong.wait_until_ready().await;
    assert_eq!((there.verify().await.status, there.exchange().await.status), (200, 200));
}
