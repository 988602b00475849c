//! Redis fails in front of two servers that share a record and copies: nobody is told anything of
//! it but health.

mod answers;
mod cluster;
mod data;
mod network;
mod sentinel;

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
        // Where other tests run beside, a few milliseconds are this machine's own doing.
        let deadline = full_or("20", "100");
        self.way.straight_node().set("REDIS_URL", &url).set("REDIS_DEADLINE_MS", deadline)
    }

    /// Both servers go the way that the fault is on.
    async fn begin(&self, group: &'static str, fault: &'static str) -> Drill {
        Drill::begin_among(group, fault, vec![self.node(), self.node()], Crowd::STEADY).await
    }
}
