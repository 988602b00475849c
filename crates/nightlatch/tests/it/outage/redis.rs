//! Redis fails in front of two servers that share a record and copies: nobody is told anything of
//! it but health.

mod answers;
mod boot;
mod cluster;
mod data;
mod names;
mod network;
mod sentinel;
mod tls;

use std::sync::Arc;

use nightlatch_testkit::chaos_proxy::ChaosProxy;
use nightlatch_testkit::load::Crowd;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::Launch;

use super::drill::{Drill, full_or};
use super::postgres::Way;
use super::report::{Expected, Wanted};

/// Nobody is told of it; health may name this class.
fn unseen(class: Option<&'static str>) -> Expected {
    Expected { writes: Wanted::Served, checks: Wanted::Served, class }
}

/// Guesses of one account's password that all servers together evaluate in an hour, and how many more
/// where they cannot count together: each lets its share through.
const GUESSES: &str = "5/h";
const GUESSES_MAX: usize = 6;

/// And where each of two counts in a Redis of its own: all of them twice, until the record has told
/// each of the other's.
const GUESSES_MAX_APART: usize = 10;

/// A server whose throttles are on. There is one account for each person, and all come from one
/// address.
fn throttled(node: Launch) -> Launch {
    node.set("DISABLE_THROTTLING", "false")
        .set("THROTTLE_LOGIN", GUESSES)
        .set("THROTTLE_ADDRESS", "1000/m")
        .set("THROTTLE_REGISTER", "1000/m")
        // A few milliseconds are this machine's own doing where other tests run beside.
        .set("REDIS_DEADLINE_MS", full_or("20", "100"))
}

/// Two servers under load while somebody guesses.
async fn begin(group: &'static str, fault: &'static str, nodes: Vec<Launch>) -> Drill {
    begin_with_guesses(group, fault, nodes, GUESSES_MAX).await
}

/// As [`begin`], where another number of guesses may be evaluated.
async fn begin_with_guesses(
    group: &'static str,
    fault: &'static str,
    nodes: Vec<Launch>,
    guesses_max: usize,
) -> Drill {
    let mut drill = Drill::begin_among(group, fault, nodes, Crowd::STEADY).await;
    drill.guess_meanwhile(guesses_max).await;
    drill
}

/// A record, a Redis, and the way to it.
struct Stand {
    way: Way,
    redis: Arc<RedisServer>,
    proxy: ChaosProxy,
    /// What stands before the host in the URL.
    login: &'static str,
}

impl Stand {
    async fn new() -> Self {
        Self::with(&[], "").await
    }

    async fn with(settings: &[(&str, &str)], login: &'static str) -> Self {
        let redis = Arc::new(RedisServer::launch_with(settings));
        let proxy = ChaosProxy::start(redis.port()).await;
        Self { way: Way::shared().await, redis, proxy, login }
    }

    fn node(&self) -> Launch {
        self.node_by(self.proxy.port())
    }

    fn node_by(&self, port: u16) -> Launch {
        let url = format!("redis://{}127.0.0.1:{port}", self.login);
        throttled(self.way.straight_node()).set("REDIS_URL", &url)
    }

    /// Both servers go the way that the fault is on.
    async fn begin(&self, group: &'static str, fault: &'static str) -> Drill {
        begin(group, fault, vec![self.node(), self.node()]).await
    }
}
