//! `/status`: how a node is and was, for people, with and without scripts.

use nightlatch_testkit::browser::{Browser, Scripts};
use nightlatch_testkit::client::Client;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::wait::wait_until;

use crate::person::{LIMIT, Person};
use crate::record::launch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_renews_itself_and_shows_what_fails_and_what_to_do() {
    let redis = RedisServer::launch();
    let server = launch().set("REDIS_URL", &redis.url()).ready().await;
    let url = format!("{}/status", server.origin());
    let with_scripts = Browser::launch(Scripts::On).await;
    let without = Browser::launch(Scripts::Off).await;
    Person::logged_in(&server, "alice").await;
    for browser in [&with_scripts, &without] {
        browser.open(&url).await;
        // In one question each: the page renews itself, and what was found may be gone by then.
        let source = browser.source().await;
        assert!(source.contains(">healthy</h1>"), "{source}");
        for part in
            ["database", "redis", "connected", "Session checks a second", "None since the start"]
        {
            assert!(source.contains(part), "{part}: {source}");
        }
    }
    wait_until("a login is drawn", LIMIT, async || with_scripts.has("path.area[d^=M]").await).await;

    redis.kill_9();
    let shows =
        async |browser: &Browser| browser.source().await.contains("redis-unreachable: start Redis");
    wait_until("it shows by itself that Redis is gone", LIMIT, async || shows(&with_scripts).await)
        .await;
    wait_until("it is loaded again", LIMIT, async || shows(&without).await).await;
    wait_until("it is drawn", LIMIT, async || with_scripts.has(".strip rect.bad").await).await;
    let source = with_scripts.source().await;
    // How it failed at first is told: the connection was closed, or nobody took a new one.
    for part in [">degraded</h1>", "just now</time> redis"] {
        assert!(source.contains(part), "{part}: {source}");
    }
    with_scripts.close().await;
    without.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_served_beside_the_metrics_and_nowhere_else() {
    let own = format!("127.0.0.1:{}", free_port());
    let server = launch().set("NIGHTLATCH_METRICS_LISTEN", &own).ready().await;
    assert_eq!(server.client().get("/status").await.status, 404);
    let mut client = Client::new(own.parse().expect("an address"));
    let answer = client.get("/status").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(
        answer.header("content-security-policy").is_some_and(|it| it.contains("script-src 'self'"))
    );
    let page = answer.text();
    let (_, rest) = page.split_once("/static/style.css").expect("it is styled");
    let (query, _) = rest.split_once('"').expect("it is quoted");
    assert_eq!(client.get(&format!("/static/style.css{query}")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_there_while_the_database_is_not() {
    let server = launch().set("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none").start();
    let answer = server.client().get("/status").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let page = answer.text();
    for part in ["unhealthy", "Not ready", "database-unreachable", "DATABASE_URL"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
