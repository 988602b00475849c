//! What Redis shows in TLS changes under servers that are connected.

use std::time::Duration;

use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::redis::RedisServer;

use super::{begin, throttled, unseen};
use crate::outage::drill::{Drill, full_or};
use crate::outage::postgres::Way;

const GROUP: &str = "Redis, TLS and DNS";

/// How long a full run stays so.
const SPAN: Duration = Duration::from_secs(10);

/// That clients need no certificate.
const OPEN: (&str, &str) = ("tls-auth-clients", "no");

/// A Redis that is as it should be, and the way to it.
struct Stand {
    authority: Authority,
    good: RedisServer,
    proxy: ChaosProxy,
}

impl Stand {
    async fn new() -> Self {
        let authority = Authority::new();
        let good = RedisServer::launch_tls(&authority, ("localhost", 2), &[OPEN]);
        let proxy = ChaosProxy::start(good.port()).await;
        Self { authority, good, proxy }
    }

    async fn begin(&self, fault: &'static str, way: &Way) -> Drill {
        let (port, ca) = (self.proxy.port(), self.authority.path("ca.pem"));
        let url = format!("rediss://localhost:{port}?ssl_ca_certs={}", ca.display());
        let node = || throttled(way.straight_node()).set("REDIS_URL", &url);
        begin(GROUP, fault, vec![node(), node()]).await
    }

    /// The way leads to another Redis for a while.
    async fn leads_to(&self, fault: &'static str, bad: &RedisServer, class: &'static str) {
        let way = Way::shared().await;
        let mut drill = self.begin(fault, &way).await;
        drill.fault_begins();
        self.proxy.lead_to(bad.port());
        self.proxy.cut();
        drill.stay_ill(class, full_or(SPAN, Duration::ZERO)).await;
        self.proxy.lead_to(self.good.port());
        drill.fault_ends(unseen(Some(class))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_good_no_more_is_not_believed() {
    let stand = Stand::new().await;
    let by = |authority: &Authority, host: &str, days: i32| {
        RedisServer::launch_tls(authority, (host, days), &[OPEN])
    };
    let unknown = by(&Authority::new(), "localhost", 2);
    stand.leads_to("unknown CA from now on", &unknown, "tls_untrusted").await;
    let expired = by(&stand.authority, "localhost", -1);
    stand.leads_to("expired from now on", &expired, "tls_expired").await;
    let other = by(&stand.authority, "other.test", 2);
    stand.leads_to("other host name from now on", &other, "tls_hostname").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_speaks_another_tls_or_none_is_done_without() {
    let stand = Stand::new().await;
    let strict = RedisServer::launch_tls(&stand.authority, ("localhost", 2), &[]);
    let fault = "client certificate demanded from now on";
    stand.leads_to(fault, &strict, "tls_client_cert").await;
    // What OpenSSL calls safe has been no earlier one for years.
    let weak = [OPEN, ("tls-protocols", "TLSv1.1"), ("tls-ciphers", "DEFAULT@SECLEVEL=0")];
    let old = RedisServer::launch_tls(&stand.authority, ("localhost", 2), &weak);
    stand.leads_to("old protocol from now on", &old, "tls_version").await;
    let plain = RedisServer::launch();
    stand.leads_to("no TLS from now on", &plain, "tls_not_spoken").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_never_ends_is_not_waited_for() {
    let (stand, way) = (Stand::new().await, Way::shared().await);
    let mut drill = stand.begin("handshake that never ends", &way).await;
    drill.fault_begins();
    stand.proxy.set(Fault::SilentNew).await;
    stand.proxy.cut();
    drill.stay_ill("timeout", full_or(SPAN, Duration::ZERO)).await;
    stand.proxy.set(Fault::None).await;
    drill.fault_ends(unseen(Some("timeout"))).await;
}
