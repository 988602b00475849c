//! The name of the Redis leads nowhere any more, or to another server.

use std::time::Duration;

use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::resolver::{FakeResolver, Name};
use nightlatch_testkit::server::Launch;
use nightlatch_testkit::wait::wait_until;

use super::{Stand, begin, throttled, unseen};
use crate::outage::drill::{LIMIT, full_or};

const GROUP: &str = "Redis, TLS and DNS";

const NAME: &str = "redis.test";

fn by_name(stand: &Stand, resolver: &FakeResolver, port: u16) -> Launch {
    throttled(stand.way.straight_node())
        .set("REDIS_URL", &format!("redis://{NAME}:{port}"))
        .resolving_by(resolver)
}

/// The connections end, and the name is not found again for a while.
async fn is_not_found(fault: &'static str, answer: Name<'static>) {
    let (stand, resolver) = (Stand::new().await, FakeResolver::start());
    resolver.say(NAME, Name::LeadsTo("127.0.0.1"));
    let node = || by_name(&stand, &resolver, stand.proxy.port());
    let mut drill = begin(GROUP, fault, vec![node(), node()]).await;
    drill.fault_begins();
    resolver.say(NAME, answer);
    stand.proxy.cut();
    drill.wait_for_class_everywhere("dns").await;
    drill.wait_since_beginning(Duration::from_secs(full_or(60, 4))).await;
    drill.stay_under_load().await;
    resolver.say(NAME, Name::LeadsTo("127.0.0.1"));
    drill.fault_ends(unseen(Some("dns"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_whose_server_fails_is_done_without() {
    is_not_found("SERVFAIL", Name::ServerFailure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_that_is_silent_is_not_waited_for() {
    is_not_found("resolver silent", Name::Silence).await;
}

/// Which of two addresses it is, only the name says: both servers answer well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_to_another_address_is_followed() {
    let (stand, resolver) = (Stand::new().await, FakeResolver::start());
    let port = stand.redis.port().to_string();
    let other = RedisServer::launch_with(&[("bind", "127.0.0.2"), ("port", &port)]);
    resolver.say(NAME, Name::LeadsTo("127.0.0.1"));
    let node = || by_name(&stand, &resolver, stand.redis.port());
    let mut drill = begin(GROUP, "address moved", vec![node(), node()]).await;
    let listening = || stand.redis.ask(&["PUBSUB", "NUMSUB", "nightlatch:news"]);
    assert!(listening().ends_with('2'), "both are there: {}", listening());
    drill.fault_begins();
    resolver.say(NAME, Name::LeadsTo("127.0.0.2"));
    wait_until("the name is followed", LIMIT, async || listening().ends_with('0')).await;
    let took = drill.load.now().saturating_sub(drill.began());
    assert!(took <= Duration::from_secs(30), "only after {took:?}");
    drill.remark = format!("followed after {} s", took.as_secs());
    drill.stay_under_load().await;
    drill.fault_ends(unseen(None)).await;
    drop(other);
}
