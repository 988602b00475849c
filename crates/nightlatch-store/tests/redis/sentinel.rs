//! Sentinels say where the primary is.

use std::sync::Arc;

use nightlatch_core::{FailureClass, Secret};
use nightlatch_store::cached::SharedCopies as _;
use nightlatch_store::redis::{RedisAddress, RedisOptions};
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::sentinel::{PRIMARY, Sentinel};
use nightlatch_testkit::wait::wait_until;

use super::{Kept, LIMIT, options, session, token};

/// A primary with a replica that has all it has.
async fn primary_and_replica() -> (RedisServer, RedisServer) {
    let (primary, replica) = (RedisServer::launch(), RedisServer::launch());
    replica.tell(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    wait_until("the replica follows", LIMIT, async || {
        primary.ask(&["INFO", "replication"]).contains("state=online")
    })
    .await;
    (primary, replica)
}

fn found_by(ports: &[u16], name: &str, password: Option<&str>) -> RedisOptions {
    let sentinels = ports.iter().map(|port| ("127.0.0.1".to_owned(), *port)).collect();
    RedisOptions {
        address: RedisAddress::Sentinel { sentinels, primary: name.to_owned() },
        sentinel_password: password.map(|password| Secret::new(password.to_owned())),
        ..options(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_is_followed_to_where_it_is() {
    let (primary, replica) = primary_and_replica().await;
    let sentinel = Sentinel::launch(&primary, None);
    wait_until("the Sentinel knows both", LIMIT, async || {
        sentinel.ask(&["SENTINEL", "REPLICAS", PRIMARY]).contains(&replica.port().to_string())
    })
    .await;
    // Of two Sentinels one is gone.
    let kept = Kept::new(found_by(&[free_port(), sentinel.port()], PRIMARY, None));
    kept.hears(Ok(())).await;
    let found = session(1);
    kept.keeps(token(1), &found).await;
    primary.kill_9();
    wait_until("the replica is the primary, and used", LIMIT, async || {
        replica.is_role("master") && kept.link.is_connected()
    })
    .await;
    kept.keeps(token(2), &session(2)).await;
    assert!(!replica.ask(&["KEYS", "nightlatch:s:*"]).is_empty());

    // What was the primary comes back, and is told to follow.
    primary.start();
    wait_until("the one that was the primary follows", LIMIT, async || primary.is_role("slave"))
        .await;
    kept.keeps(token(3), &session(3)).await;
}

/// Nobody has failed: operators have told them to change places.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_becomes_a_replica_is_left_at_once() {
    let (primary, replica) = primary_and_replica().await;
    let sentinel = Sentinel::launch(&primary, None);
    wait_until("the Sentinel knows both", LIMIT, async || {
        sentinel.ask(&["SENTINEL", "REPLICAS", PRIMARY]).contains(&replica.port().to_string())
    })
    .await;
    let kept = Arc::new(Kept::new(found_by(&[sentinel.port()], PRIMARY, None)));
    kept.hears(Ok(())).await;
    assert_eq!(sentinel.ask(&["SENTINEL", "FAILOVER", PRIMARY]), "OK");
    wait_until("they have changed places", LIMIT, async || {
        replica.is_role("master") && primary.is_role("slave")
    })
    .await;
    wait_until("the new one is used", LIMIT, async || kept.copies_are_written(&replica)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_not_finding_a_primary_has_its_class() {
    let redis = RedisServer::launch();
    let (open, locked) = (Sentinel::launch(&redis, None), Sentinel::launch(&redis, Some("secret")));
    for (options, outcome) in [
        (found_by(&[free_port()], PRIMARY, None), Err(FailureClass::Unreachable)),
        (found_by(&[open.port()], "another", None), Err(FailureClass::MasterDown)),
        (found_by(&[locked.port()], PRIMARY, None), Err(FailureClass::AuthRequired)),
        (found_by(&[locked.port()], PRIMARY, Some("wrong")), Err(FailureClass::AuthFailed)),
        (found_by(&[locked.port()], PRIMARY, Some("secret")), Ok(())),
        (found_by(&[redis.port()], PRIMARY, None), Err(FailureClass::Protocol)),
    ] {
        Kept::new(options).hears(outcome).await;
    }
}

impl Kept {
    /// Whether copies arrive at this server.
    fn copies_are_written(&self, at: &RedisServer) -> bool {
        let found = session(9);
        self.copies.keep(token(9), &found, found.session.created_at);
        !at.ask(&["KEYS", "nightlatch:s:*"]).is_empty()
    }
}
