//! Incident 1: Redis dies under a Django-shaped load, and every login answered 500.
//!
//! The load: people of a Django application, with its hashes and at its paths, who log in by forms, are told
//! so once, reload their profile and log out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nightlatch_testkit::client::{Answer, Client};
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::NightlatchServer;
use nightlatch_testkit::wait::wait_until;
use tokio::task::JoinSet;

use super::{becomes_healthy, doctor, health, is_told_down, lines, nobody_was_answered_500, says};
use crate::metrics::becomes;
use crate::metrics::recorded::{FAULTY, Recording, WELL};
use crate::metrics::scrape::Scrape;
use crate::person::{LIMIT, PASSWORD};
use crate::record::launch;

/// A hash of [`PASSWORD`] as Django makes them, but for its cost.
const DJANGO_HASH: &str = "pbkdf2_sha256$1000$seasalt$73c9TsKQapWDhQzwdBwHd2HJuGAaAB29bGkW4nejy5A=";

const PEOPLE: [&str; 4] = ["ada", "grace", "edsger", "barbara"];

/// Rounds of logins, reloads and logouts that are waited for in each phase.
const ROUNDS: usize = 12;

/// People who come and go. Dropped, they are gone; what went wrong for one of them fails the test.
struct Visitors {
    rounds: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Visitors {
    fn come(server: &NightlatchServer) -> Self {
        let rounds = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for name in PEOPLE {
            let (mut client, rounds) = (server.client(), Arc::clone(&rounds));
            tasks.spawn(async move {
                loop {
                    log_in(&mut client, name).await;
                    log_out(&mut client).await;
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self { rounds, tasks }
    }

    /// So many more rounds, each as it should be.
    async fn go_on(&mut self) {
        let until = self.rounds.load(Ordering::Relaxed) + ROUNDS;
        wait_until("people come and go", LIMIT, async || {
            self.rounds.load(Ordering::Relaxed) >= until || self.is_harmed()
        })
        .await;
        while let Some(ended) = self.tasks.try_join_next() {
            ended.expect("everybody is served");
        }
    }

    /// Nobody of them ends but by a failed assertion.
    fn is_harmed(&self) -> bool {
        self.tasks.len() < PEOPLE.len() || self.rounds.load(Ordering::Relaxed) == usize::MAX
    }
}

fn token_of(page: &Answer) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"csrf_token\" value=\"").expect("a form");
    rest.split_once('"').expect("a value").0.to_owned()
}

async fn log_in(client: &mut Client, name: &str) {
    let form = client.get("/auth/login/").await;
    assert_eq!(form.status, 200, "{}", form.text());
    let token = token_of(&form);
    let fields = [("csrf_token", token.as_str()), ("username", name), ("password", PASSWORD)];
    let answer = client.post_form("/auth/login/", &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(answer.header("location"), Some("/auth/profile"));
    let first = see_profile(client, name).await;
    assert!(first.contains("role=\"status\""), "a message survives the redirect: {first}");
    let again = see_profile(client, name).await;
    assert!(!again.contains("role=\"status\""), "it is said once: {again}");
}

async fn see_profile(client: &mut Client, name: &str) -> String {
    let page = client.get("/auth/profile/").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    assert!(text.contains(name), "{text}");
    text
}

async fn log_out(client: &mut Client) {
    let token = token_of(&client.get("/auth/profile/").await);
    let answer = client.post_form("/auth/logout/", &[("csrf_token", &token)]).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(client.get("/auth/profile/").await.status, 303, "out is out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_under_a_django_shaped_load() {
    let redis = RedisServer::launch();
    let server = launch().set("REDIS_URL", &redis.url()).ready().await;
    let rows = PEOPLE.map(|name| format!("{name},{DJANGO_HASH}\n")).concat();
    let imported =
        server.command_given(&["user", "import", "-"], &format!("username,password\n{rows}"));
    assert!(imported.status.success(), "{imported:?}");
    becomes(&server, r#"nightlatch_dependency_up{dependency="redis"}"#, |up| up == 1).await;
    let mut stays = server.client();
    log_in(&mut stays, "ada").await;

    let mut visitors = Visitors::come(&server);
    let mut recording = Recording::default();
    visitors.go_on().await;
    for _ in 0..WELL {
        recording.add(&server).await;
    }
    let before = Scrape::of(&mut server.client()).await;
    redis.kill_9();
    // From the first moment, and as long as it lasts.
    visitors.go_on().await;
    is_told_down(&server, "redis", "unreachable").await;
    for _ in 0..FAULTY {
        recording.add(&server).await;
    }
    visitors.go_on().await;
    see_profile(&mut stays, "ada").await;

    // Who operates it.
    let told = is_told_down(&server, "redis", "unreachable").await;
    assert_eq!(told["finding"], "redis-unreachable");
    assert!(told["fix"].is_string(), "what to try: {told}");
    let health_now = health(&server).await;
    assert_eq!(health_now["status"], "degraded");
    assert_eq!(
        (&health_now["database"], &health_now["cache"]),
        (&"connected".into(), &"error: unreachable".into())
    );
    assert_eq!(health_now["findings"][0]["id"], "redis-unreachable");
    assert_eq!(server.client().get("/health/ready").await.status, 200);

    // Metrics and alerts.
    nobody_was_answered_500(&server).await;
    let now = Scrape::of(&mut server.client()).await;
    let logins = r#"nightlatch_logins_total{outcome="success"}"#;
    assert!(now.value(logins) > before.value(logins), "logins go on");
    let failed = now.series.iter().filter(|it| it.name == "nightlatch_logins_total");
    let failed: Vec<_> = failed.filter(|it| it.value > 0.0).collect();
    assert_eq!(failed.len(), 1, "and none fails: {failed:?}");
    assert_eq!(now.value(r#"nightlatch_session_checks_total{outcome="unknown"}"#), Some(0.0));
    recording.check(&["NightlatchRedisDown", "NightlatchBreakerOpen"]);

    // Doctor.
    let found = doctor(&server, &["redis"]);
    assert_eq!((found.wrong(), found.code), (vec!["redis-unreachable"], Some(1)));
    assert!(says(&found, "redis-unreachable", "why").contains("refuse"), "{:#?}", found.findings);

    // And back: nobody notices that either.
    redis.start();
    visitors.go_on().await;
    becomes_healthy(&server).await;
    visitors.go_on().await;
    see_profile(&mut stays, "ada").await;
    wait_until("it is told that it is back", LIMIT, async || {
        lines(&server, "dependency.up").iter().any(|line| line["dependency"] == "redis")
    })
    .await;
    assert_eq!(doctor(&server, &["redis"]).code, Some(0));
    nobody_was_answered_500(&server).await;
}
