//! A Cluster: each server has its part of the keys.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nightlatch_core::{FailureClass, Secret};
use nightlatch_store::cached::SharedCopies as _;
use nightlatch_store::redis::{RedisAddress, RedisOptions, RedisTls};
use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::cluster::RedisCluster;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::wait::wait_until;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::news::pending;
use super::{Kept, LIMIT, history, options, session, token};

/// Enough that every server has some of them.
const COPIES: u8 = 64;

fn cluster_of(ports: impl IntoIterator<Item = u16>) -> RedisOptions {
    let nodes = ports.into_iter().map(|port| ("127.0.0.1".to_owned(), port)).collect();
    RedisOptions { address: RedisAddress::Cluster(nodes), ..options(0) }
}

/// A link to a Cluster of which it knows one server, with copies on all.
async fn kept_in(cluster: &RedisCluster) -> Kept {
    let kept = Kept::new(cluster_of([cluster.primaries[0].port()]));
    kept.hears(Ok(())).await;
    for number in 0..COPIES {
        kept.keeps(token(number), &session(number.into())).await;
    }
    for server in &cluster.primaries {
        assert!(has_copies(server), "each has its part");
    }
    kept
}

fn has_copies(server: &RedisServer) -> bool {
    !server.ask(&["--raw", "KEYS", "nightlatch:s:*"]).is_empty()
}

impl Kept {
    /// The copies that are found.
    async fn found(&self) -> BTreeSet<u8> {
        let mut found = BTreeSet::new();
        for number in 0..COPIES {
            if self.finds(token(number), history()).await.is_some() {
                found.insert(number);
            }
        }
        found
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_a_server_is_the_loss_of_its_keys_alone() {
    // That keys without a server keep nobody from the others.
    let settings = [("cluster-require-full-coverage", "no")];
    let cluster = RedisCluster::launch_with(3, false, &settings).await;
    let kept = kept_in(&cluster).await;
    assert_eq!(kept.found().await.len(), usize::from(COPIES));
    let lost = &cluster.primaries[1];
    lost.kill_9();
    wait_until("it is missed", LIMIT, async || {
        matches!(kept.last_heard(), Some(Err(_))) && kept.found().await.len() < usize::from(COPIES)
    })
    .await;
    let found = kept.found().await;
    assert!(!found.is_empty() && kept.link.is_connected(), "the others are used");
    // What is written at once to all is written where it can be.
    let new: Vec<_> = (COPIES..2 * COPIES).map(token).collect();
    for token in &new {
        kept.copies.keep(*token, &session(1), session(1).session.created_at);
    }
    wait_until("new copies are kept", LIMIT, async || {
        let mut count = 0;
        for token in &new {
            count += usize::from(kept.finds(*token, history()).await.is_some());
        }
        count > new.len() / 2
    })
    .await;
    lost.start();
    kept.hears(Ok(())).await;
    assert!(kept.found().await.is_superset(&found));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_is_followed() {
    let cluster = RedisCluster::launch(3, true).await;
    let kept = kept_in(&cluster).await;
    cluster.primaries[0].kill_9();
    wait_until("its replica has all its copies", LIMIT, async || {
        kept.found().await.len() == usize::from(COPIES)
    })
    .await;
    kept.hears(Ok(())).await;
    // What it was is what follows now.
    cluster.primaries[0].start();
    cluster.agrees().await;
    assert_eq!(kept.found().await.len(), usize::from(COPIES));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_found_before_while_and_after_it_moves() {
    let cluster = RedisCluster::launch(2, false).await;
    let kept = kept_in(&cluster).await;
    let [from, to] = cluster.primaries.as_slice() else { panic!("two were started") };
    let held = from.ask(&["--raw", "KEYS", "nightlatch:s:*"]);
    let key = held.lines().next().expect("it has some");
    let slot = from.ask(&["CLUSTER", "KEYSLOT", key]).parse().expect("a number");
    cluster
        .move_slot(slot, (from, to), async || {
            assert_eq!(kept.found().await.len(), usize::from(COPIES), "one is asked for there");
            assert_eq!(kept.last_heard(), Some(Ok(())));
        })
        .await;
    assert_eq!(kept.found().await.len(), usize::from(COPIES), "one has moved");
    assert_eq!(kept.last_heard(), Some(Ok(())));
    assert!(to.ask(&["--raw", "KEYS", key]).contains(key));
}

/// A server that sends away whoever asks for a key that is on its way does as well as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_stays_on_its_way_is_no_reason_to_give_its_server_up() {
    let cluster = RedisCluster::launch(2, false).await;
    let kept = kept_in(&cluster).await;
    let [from, to] = cluster.primaries.as_slice() else { panic!("two were started") };
    let looked_at = from.ask(&["--raw", "KEYS", "nightlatch:look:*"]);
    let slot = from.ask(&["CLUSTER", "KEYSLOT", &looked_at]).parse().expect("a number");
    cluster
        .move_slot(slot, (from, to), async || {
            let before = kept.heard.looks.load(Ordering::Relaxed);
            // Both servers, for longer than a server is believed that the key is another's.
            wait_until("it is looked at again and again", LIMIT, async || {
                assert_eq!(kept.last_heard(), Some(Ok(())));
                kept.heard.looks.load(Ordering::Relaxed) - before >= 16
            })
            .await;
        })
        .await;
    assert_eq!(kept.found().await.len(), usize::from(COPIES));
}

/// They know where the keys are, though no request can use them.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_have_lost_all_their_keys_at_once_are_asked_who_has_them() {
    let cluster = RedisCluster::launch(2, false).await;
    let [known, other] = cluster.primaries.as_slice() else { panic!("two were started") };
    let all = ["0", "16383"];
    let have = async |server: &RedisServer| {
        for one in &cluster.primaries {
            // One that knows of none has none to lose.
            let _ = one.ask(&[&["CLUSTER", "DELSLOTSRANGE"], all.as_slice()].concat());
        }
        server.tell(&[&["CLUSTER", "ADDSLOTSRANGE"], all.as_slice()].concat());
        let _ = server.ask(&["CLUSTER", "BUMPEPOCH"]);
        cluster.agrees().await;
    };
    have(known).await;
    let kept = Kept::new(cluster_of([known.port()]));
    kept.hears(Ok(())).await;
    for one in &cluster.primaries {
        one.tell(&[&["CLUSTER", "DELSLOTSRANGE"], all.as_slice()].concat());
    }
    kept.hears(Err(FailureClass::ClusterDown)).await;
    wait_until("it is not used", LIMIT, async || !kept.link.is_connected()).await;
    have(other).await;
    kept.hears(Ok(())).await;
    kept.keeps(token(1), &session(1)).await;
    assert!(has_copies(other));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_tells_the_others_hear_by_any_server() {
    let settings = [("cluster-require-full-coverage", "no")];
    let cluster = RedisCluster::launch_with(3, false, &settings).await;
    let [first, second, third] = cluster.primaries.as_slice() else { panic!("three were started") };
    let one = Kept::new(cluster_of([first.port(), second.port()]));
    let other = Kept::new(cluster_of([second.port(), third.port()]));
    for node in [&one, &other] {
        node.hears(Ok(())).await;
    }
    one.tells(&pending(1), &other).await;
    first.kill_9();
    one.tells(&pending(2), &other).await;
    first.start();
    third.kill_9();
    other.tells(&pending(3), &one).await;
}

/// What its certificate is for, the server has to say itself.
#[tokio::test(flavor = "multi_thread")]
async fn over_tls_its_servers_are_known_by_the_names_that_they_tell() {
    let authority = Authority::new();
    let settings = [
        ("tls-auth-clients", "no"),
        ("tls-cluster", "yes"),
        ("cluster-enabled", "yes"),
        ("cluster-announce-hostname", "localhost"),
        ("cluster-preferred-endpoint-type", "hostname"),
        ("requirepass", "secret"),
    ];
    let server = RedisServer::launch_tls(&authority, ("localhost", 2), &settings);
    let password = ["--no-auth-warning", "-a", "secret"];
    server.tell(&[&password[..], &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]].concat());
    let authorities = Some(authority.path("ca.pem"));
    let at = |host: &str| RedisOptions {
        address: RedisAddress::Cluster(vec![(host.to_owned(), server.port())]),
        password: Some(Secret::new("secret".to_owned())),
        tls: Some(RedisTls { verifies: true, authorities: authorities.clone(), client: None }),
        ..options(0)
    };
    let kept = Kept::new(at("localhost"));
    kept.hears(Ok(())).await;
    kept.keeps(token(1), &session(1)).await;
    Kept::new(at("127.0.0.1")).hears(Err(FailureClass::TlsHostname)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_having_no_cluster_has_its_class() {
    let alone = RedisServer::launch();
    let locked = RedisServer::launch_with(&[("requirepass", "secret"), ("cluster-enabled", "yes")]);
    let empty = RedisServer::launch_with(&[("cluster-enabled", "yes")]);
    // It says that it is where nobody listens.
    let elsewhere = free_port().to_string();
    let hidden = RedisServer::launch_with(&[
        ("cluster-enabled", "yes"),
        ("cluster-announce-ip", "127.0.0.1"),
        ("cluster-announce-port", &elsewhere),
    ]);
    hidden.tell(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let half = RedisServer::launch_with(&[("cluster-enabled", "yes")]);
    half.tell(&["CLUSTER", "ADDSLOTSRANGE", "0", "8000"]);
    for (port, class) in [
        (free_port(), FailureClass::Unreachable),
        (alone.port(), FailureClass::ClusterDown),
        (locked.port(), FailureClass::AuthRequired),
        (empty.port(), FailureClass::ClusterDown),
        (hidden.port(), FailureClass::Unreachable),
        (half.port(), FailureClass::ClusterDown),
    ] {
        Kept::new(cluster_of([port])).hears(Err(class)).await;
    }
}

/// Tries to connect to one server in any second.
const TRIES_MAX: u32 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_all_gone_are_not_tried_again_and_again() {
    let cluster = RedisCluster::launch(3, false).await;
    let _kept = kept_in(&cluster).await;
    let mut counted = JoinSet::new();
    for server in &cluster.primaries {
        server.kill_9();
        let address = ("127.0.0.1", server.port());
        let gone = TcpListener::bind(address).await.expect("its port is free now");
        counted.spawn(async move {
            let tries = 4 * TRIES_MAX;
            let mut began = None;
            for _ in 0..=tries {
                drop(gone.accept().await.expect("somebody tries"));
                began.get_or_insert_with(Instant::now);
            }
            (tries, began.expect("somebody has tried").elapsed())
        });
    }
    for (tries, took) in tokio::time::timeout(LIMIT, counted.join_all()).await.expect("they try") {
        assert!(took >= Duration::from_secs((tries / TRIES_MAX).into()), "{tries} in {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_speak_no_tls_are_told_apart() {
    let cluster = RedisCluster::launch(2, false).await;
    let options = RedisOptions {
        tls: Some(RedisTls { verifies: true, authorities: None, client: None }),
        ..cluster_of(cluster.servers().map(RedisServer::port))
    };
    Kept::new(options).hears(Err(FailureClass::TlsNotSpoken)).await;
}
