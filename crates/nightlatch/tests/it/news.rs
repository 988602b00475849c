//! What nodes tell each other over Redis: one that does not reach the record learns it all the same.

use std::sync::Arc;

use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::{Launch, NightlatchServer};
use nightlatch_testkit::wait::wait_until;

use crate::person::{LIMIT, Person, SESSION};
use crate::record::launch;

/// A node that reaches the record, and one whose way there can be cut. Both reach Redis.
struct Pair {
    near: NightlatchServer,
    far: NightlatchServer,
    /// The way of `far` to the record.
    way: ChaosProxy,
    straight: Launch,
    _redis: RedisServer,
    /// Last: the servers have ended when their record goes.
    _postgres: Arc<PostgresServer>,
}

impl Pair {
    async fn serve() -> Self {
        let (postgres, redis) = (PostgresServer::shared(), RedisServer::launch());
        let url = postgres.url(&postgres.create_database());
        let way = ChaosProxy::start(postgres.port()).await;
        let (port, by_way) = (postgres.port(), way.port());
        let launch = launch().set("REDIS_URL", &redis.url()).set("REDIS_DEADLINE_MS", "100");
        let straight = launch.clone().set("DATABASE_URL", &url);
        let url = url.replace(&format!(":{port}/"), &format!(":{by_way}/"));
        let far = launch.set("DATABASE_URL", &url).ready().await;
        let near = straight.clone().ready().await;
        for server in [&near, &far] {
            reaches(server, "cache", "connected").await;
        }
        Self { near, far, way, straight, _redis: redis, _postgres: postgres }
    }

    /// The record is out of reach of `far` from now on, which goes on with what it has.
    async fn cut(&self) {
        self.way.set(Fault::Refuse).await;
        reaches(&self.far, "database", "error: unreachable").await;
    }
}

async fn reaches(server: &NightlatchServer, what: &str, how: &str) {
    let mut client = server.client();
    wait_until(&format!("{what} is {how}"), LIMIT, async || {
        client.get("/health").await.json()[what] == how
    })
    .await;
}

/// The same session on another node.
fn elsewhere(person: &Person, server: &NightlatchServer) -> Person {
    let mut there = Person::new(server, &person.username);
    there.client.set_cookie(SESSION, &person.token());
    there.csrf.clone_from(&person.csrf);
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_the_record_is_out_of_reach_of_hears_of_a_logout() {
    let pair = Pair::serve().await;
    let mut alice = Person::logged_in(&pair.near, "alice").await;
    let mut bob = Person::logged_in(&pair.near, "bob").await;
    let (mut alice_there, mut bob_there) =
        (elsewhere(&alice, &pair.far), elsewhere(&bob, &pair.far));
    assert_eq!(alice_there.session().await.status, 200);
    assert_eq!(bob_there.session().await.status, 200);
    pair.cut().await;
    assert_eq!(alice_there.session().await.status, 200, "from its copy");

    assert_eq!(alice.log_out().await.status, 200);
    alice_there.is_logged_out_within_s().await;
    assert_eq!(bob_there.session().await.status, 200, "nobody has ended it");
    let password = bob.password.clone();
    assert_eq!(bob.change_password(&password, "cobalt-ferry-lantern-82").await.status, 200);
    bob_there.is_logged_out_within_s().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_that_waits_for_the_record_is_done_by_who_hears_of_it() {
    let mut pair = Pair::serve().await;
    let mut alice = Person::logged_in(&pair.far, "alice").await;
    let mut there = elsewhere(&alice, &pair.near);
    assert_eq!(there.session().await.status, 200);
    pair.cut().await;

    let answer = alice.log_out().await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (503, "logout_pending".into()));
    // It dies with all it knows, and a third node asks the record alone.
    pair.far.kill_9();
    there.is_logged_out_within_s().await;
    let third = pair.straight.ready().await;
    elsewhere(&alice, &third).is_logged_out_within_s().await;
}
