//! Two servers over one record: each knows of the other, and they share what is limited.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_testkit::client::Client;
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::{Launch, NightlatchServer};
use nightlatch_testkit::wait::wait_until;
use serde_json::json;
use tokio::task::JoinSet;

use crate::person::{LIMIT, PASSWORD, Person};
use crate::record::launch;

const LOGIN: &str = "/api/v1/auth/login";

/// More than anybody here makes.
const GUESSES_MAX: usize = 200;

/// Two servers with what they stand on.
pub(crate) struct Pair {
    pub(crate) servers: [NightlatchServer; 2],
    launch: Launch,
    database: String,
    /// Last: the servers have ended when their record goes.
    postgres: Arc<PostgresServer>,
}

impl Pair {
    pub(crate) async fn serve() -> Self {
        Self::serve_with(launch()).await
    }

    pub(crate) async fn serve_with(launch: Launch) -> Self {
        let postgres = PostgresServer::shared();
        let database = postgres.create_database();
        let launch = launch
            .set("DATABASE_URL", &postgres.url(&database))
            .set("THROTTLE_REGISTER", "1000/h")
            .set("THROTTLE_ADDRESS", "1000/m");
        let servers = [launch.clone().ready().await, launch.clone().ready().await];
        Self { servers, launch, database, postgres }
    }

    /// One more server.
    pub(crate) async fn third(&self) -> NightlatchServer {
        self.launch.clone().ready().await
    }

    /// Changes the database.
    pub(crate) fn sql(&self, sql: &str) {
        self.postgres.sql(&self.database, sql);
    }

    /// What the database says.
    pub(crate) fn query(&self, sql: &str) -> String {
        self.postgres.query(&self.database, sql)
    }

    /// What a logout at `server` is told about the others.
    async fn within_s(&self, server: &NightlatchServer, name: &str) -> u64 {
        let mut person = Person::logged_in(server, name).await;
        let answer = person.log_out().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["within_s"].as_u64().expect("seconds")
    }
}

async fn guess(client: &mut Client, username: &str) -> u16 {
    client.post_json(LOGIN, &json!({ "username": username, "password": "wrong" })).await.status
}

/// Guesses until the server has refused `refusals` times; how many were evaluated.
async fn evaluated(mut client: Client, username: &str, refusals: usize) -> usize {
    let (mut evaluated, mut refused) = (0, 0);
    for _ in 0..GUESSES_MAX {
        match guess(&mut client, username).await {
            401 => evaluated += 1,
            429 => refused += 1,
            // The machine is busy hashing for other tests.
            503 => {}
            other => panic!("{other} for a guess"),
        }
        if refused == refusals {
            return evaluated;
        }
    }
    panic!("{evaluated} guesses were evaluated, and only {refused} refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_is_told_how_far_it_has_to_spread() {
    let mut pair = Pair::serve().await;
    assert_eq!(pair.within_s(&pair.servers[0], "one").await, 2);
    assert_eq!(pair.within_s(&pair.servers[1], "two").await, 2);
    assert_eq!(pair.servers[1].terminate(), Some(0));
    assert_eq!(pair.within_s(&pair.servers[0], "three").await, 0, "it has left");

    let mut third = pair.launch.clone().ready().await;
    assert_eq!(pair.within_s(&pair.servers[0], "four").await, 2, "as soon as it serves");
    third.kill_9();
    assert_eq!(pair.within_s(&pair.servers[0], "five").await, 2, "nobody knows yet");
    let half_a_minute_later = "UPDATE nightlatch.nodes SET beat_at = beat_at - 30000000";
    pair.postgres.sql(&pair.database, half_a_minute_later);
    assert_eq!(pair.within_s(&pair.servers[0], "six").await, 300, "it may serve copies still");
    let later = "UPDATE nightlatch.nodes SET beat_at = beat_at - 300000000";
    pair.postgres.sql(&pair.database, later);
    assert_eq!(pair.within_s(&pair.servers[0], "seven").await, 0);
}

/// A second server over one file counts, and a command beside it does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_another_server_counts_and_the_command_line_does_not() {
    let first = launch().ready().await;
    let mut person = Person::logged_in(&first, "one").await;
    let listed = first.command(&["user", "list"]);
    assert!(listed.contains("one"), "{listed}");
    assert_eq!(person.log_out().await.json()["within_s"], 0);
    let file = format!("sqlite://{}", first.folder().join("nightlatch.db").display());
    let _second = launch().set("DATABASE_URL", &file).ready().await;
    person.log_in().await;
    assert_eq!(person.log_out().await.json()["within_s"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_together_evaluate_as_many_guesses_as_one_would() {
    let pair = Pair::serve().await;
    let [first, second] = &pair.servers;
    Person::registered(first, "margo").await;
    for name in ["margo", "nobody-of-that-name"] {
        let mut guesses = JoinSet::new();
        for server in [first, second, first, second] {
            let client = server.client();
            guesses.spawn(async move { evaluated(client, name, 3).await });
        }
        let all: usize = guesses.join_all().await.into_iter().sum();
        assert!((5..=6).contains(&all), "{all} evaluated at once on both");
    }
    // What one has evaluated leaves less to the other, a second later at the latest.
    let by_first = evaluated(first.client(), "somebody-else", 1).await;
    let mut client = second.client();
    let mut by_second = 0;
    wait_until("the limit is used up", Duration::from_secs(20), async || {
        let status = guess(&mut client, "somebody-else").await;
        by_second += usize::from(status == 401);
        status == 429
    })
    .await;
    assert_eq!(by_first, 3, "its share");
    assert!((2..=3).contains(&by_second), "{by_second} after {by_first}");
    let mut owner = Person::new(second, "margo");
    assert_eq!(owner.try_password(PASSWORD).await.status, 429, "a stranger to this browser");
}

/// Two servers that count together in a Redis, and the Redis.
async fn counting_together() -> (Pair, RedisServer) {
    let redis = RedisServer::launch();
    // Where other tests run beside, a few milliseconds are this machine's own doing.
    let launch = launch().set("REDIS_URL", &redis.url()).set("REDIS_DEADLINE_MS", "200");
    let pair = Pair::serve_with(launch).await;
    for server in &pair.servers {
        counts_together(server).await;
    }
    (pair, redis)
}

async fn counts_together(server: &NightlatchServer) {
    let mut client = server.client();
    wait_until("it counts in Redis", LIMIT, async || {
        client.get("/metrics").await.text().contains("nightlatch_throttle_together 1\n")
    })
    .await;
}

async fn is_connected(server: &NightlatchServer) {
    let mut client = server.client();
    wait_until("Redis is used again", LIMIT, async || {
        client.get("/health").await.json()["cache"] == "connected"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_two_servers_evaluate_exactly_as_many_guesses_as_one_would() {
    let (pair, redis) = counting_together().await;
    let [first, second] = &pair.servers;
    Person::registered(first, "margo").await;
    let mut guesses = JoinSet::new();
    for server in [first, second, first, second] {
        let client = server.client();
        guesses.spawn(async move { evaluated(client, "margo", 3).await });
    }
    let all: usize = guesses.join_all().await.into_iter().sum();
    assert_eq!(all, 5, "at once on both");
    // No share is set apart, and what one evaluates the other knows with the next try.
    let mut client = first.client();
    for _ in 0..4 {
        assert_eq!(guess(&mut client, "somebody-else").await, 401);
    }
    assert_eq!(evaluated(second.client(), "somebody-else", 1).await, 1);
    assert_eq!(guess(&mut client, "somebody-else").await, 429);

    // An outage gives nobody a fresh allowance, nor does a Redis that has forgotten everything.
    redis.kill_9();
    for server in [first, second] {
        assert_eq!(evaluated(server.client(), "margo", 2).await, 0, "Redis is gone");
    }
    redis.start();
    for server in [first, second] {
        is_connected(server).await;
        assert_eq!(evaluated(server.client(), "margo", 2).await, 0, "Redis is empty");
    }
    for server in [first, second] {
        counts_together(server).await;
        assert_eq!(evaluated(server.client(), "margo", 2).await, 0, "and believed again");
    }
}

/// What was counted while it was away it has not heard yet when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_at_once_gives_nobody_more() {
    let (pair, redis) = counting_together().await;
    let [first, second] = &pair.servers;
    Person::registered(first, "margo").await;
    redis.kill_9();
    let mut shares = 0;
    for server in [first, second] {
        shares += evaluated(server.client(), "margo", 1).await;
    }
    assert!(shares <= 6, "{shares} were evaluated by two shares of 5");
    redis.start();
    for server in [first, second] {
        is_connected(server).await;
        assert_eq!(evaluated(server.client(), "margo", 2).await, 0, "Redis is empty");
    }
}

/// More who know the password than tries are left: each waits for those before, on whichever server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_a_crowd_with_the_right_password_is_let_in() {
    let (pair, _redis) = counting_together().await;
    Person::registered(&pair.servers[0], "margo").await;
    let mut logins = JoinSet::new();
    for server in pair.servers.iter().cycle().take(12) {
        let mut person = Person::new(server, "margo");
        logins.spawn(async move { person.try_password(PASSWORD).await.status });
    }
    for status in logins.join_all().await {
        // The machine may be busy hashing for other tests.
        assert!([200, 503].contains(&status), "{status}");
    }
    assert_eq!(evaluated(pair.servers[1].client(), "margo", 1).await, 5, "none of them counts");
}
