//! What no collector is told: what it does not take, and what is nobody's business.

use nightlatch_testkit::collector::{Conduct, FakeCollector};
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::wait::wait_until;

use super::{all_told, of_request, proxied_to, spans_are, tracing_to};
use crate::metrics::scrape::Scrape;
use crate::person::{LIMIT, Person};
use crate::record::launch;
use crate::secrets::busy_run;

/// More than wait at most, and than one export has.
const MANY: usize = 2048 + 512 + 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_gone_costs_spans_and_one_line() {
    let port = free_port();
    let server = launch()
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://127.0.0.1:{port}"))
        .ready()
        .await;
    let mut alice = Person::logged_in(&server, "alice").await;
    spans_are(&server, "failed", |spans| spans > 0.0).await;
    for _ in 0..20 {
        assert_eq!(alice.session().await.status, 200);
    }
    server.wait_for_log("traces.export_failed", LIMIT);
    let log = server.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("\"traces.")).collect();
    let [line] = lines[..] else { panic!("{lines:?}") };
    assert!(line.contains("\"class\":\"unreachable\"") && line.contains("WARN"), "{line}");
    let health = server.client().get("/health").await.json();
    assert_eq!(health["status"], "healthy", "nobody who logs in needs it: {health}");

    let collector = FakeCollector::start_at(port).await;
    let login = alice.log_in().await;
    wait_until("it is told again", LIMIT, async || {
        let id = login.header("x-request-id").expect("an id");
        collector.spans().iter().any(|span| span.says("nightlatch.request_id") == id)
    })
    .await;
    server.wait_for_log("traces.exported_again", LIMIT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_is_waited_for_by_nobody() {
    let collector = FakeCollector::start().await;
    collector.set(Conduct::Hangs);
    let mut server = tracing_to(&collector).ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    wait_until("it hangs", LIMIT, async || !collector.exports().is_empty()).await;
    for _ in 0..MANY {
        assert_eq!(alice.session().await.status, 200);
    }
    spans_are(&server, "dropped", |spans| spans > 0.0).await;
    assert_eq!(alice.log_in().await.status, 200);
    // Nor by a stop for long.
    assert_eq!(server.terminate(), Some(0));
    assert!(server.log().contains("traces.not_written"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_counted_and_not_sent_for_ever() {
    let collector = FakeCollector::start().await;
    collector.set(Conduct::Answers(401));
    let server = tracing_to(&collector).ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    spans_are(&server, "failed", |spans| spans > 0.0).await;
    server.wait_for_log("auth_required", LIMIT);
    let refused = collector.exports().len();
    assert_eq!(refused, 1, "it was refused for good");

    collector.set(Conduct::Answers(503));
    alice.session().await;
    let failed = |told: &Scrape| {
        told.value(r#"nightlatch_trace_spans_total{outcome="failed"}"#).expect("it is told")
    };
    let before = failed(&Scrape::of(&mut server.client()).await);
    spans_are(&server, "failed", |spans| spans > before).await;
    assert_eq!(collector.exports().len(), refused + 3, "that may have helped");

    collector.set(Conduct::Rejects(1));
    alice.session().await;
    spans_are(&server, "rejected", |spans| spans >= 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_tells_what_is_still_to_be_told() {
    let collector = FakeCollector::start().await;
    let server = tracing_to(&collector).ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    let last = alice.session().await;
    let spans = all_told(server, &collector);
    of_request(&spans, &last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_is_told_of_a_busy_run() {
    let collector = FakeCollector::start().await;
    let mut server = proxied_to(&collector).set("DISABLE_THROTTLING", "true").ready().await;
    let mut secrets = busy_run(&server).await;
    // Who it was, and from where, is not told either.
    secrets.extend(["quiet", "silent", "127.0.0.1"].map(str::to_owned));
    assert_eq!(server.terminate(), Some(0));
    let exports = collector.exports();
    let bytes: Vec<u8> = exports.iter().flat_map(|export| export.body.clone()).collect();
    let said = String::from_utf8_lossy(&bytes);
    assert!(said.matches("POST /api/v1/auth/login").count() > 3, "it was a busy run:\n{said}");
    for secret in secrets {
        assert!(!said.contains(&secret), "{secret:?} was told:\n{said}");
    }
}
