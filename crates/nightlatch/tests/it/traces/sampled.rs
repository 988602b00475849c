//! Which requests are traced, and who decides.

use nightlatch_testkit::client::Answer;
use nightlatch_testkit::collector::FakeCollector;
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::server::NightlatchServer;

use super::{PARENT, TRACE, all_told, of_request, proxied_to, traceparent, tracing_to};

async fn check(server: &NightlatchServer, parent: &str) -> Answer {
    let mut client = server.client();
    client.request(Method::GET, "/api/v1/session").header("traceparent", parent).send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_not_decide_whose_part_a_request_is() {
    let collector = FakeCollector::start().await;
    let server = tracing_to(&collector).ready().await;
    let (sampled, unsampled) =
        (check(&server, &traceparent("01")).await, check(&server, &traceparent("00")).await);
    let spans = all_told(server, &collector);
    for answer in [sampled, unsampled] {
        let span = of_request(&spans, &answer);
        assert_eq!(span.parent, "", "{span:#?}");
        assert_ne!(span.trace, TRACE);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_decides_for_those_that_come_through_it() {
    let collector = FakeCollector::start().await;
    let launch = proxied_to(&collector).set("OTEL_TRACES_SAMPLER", "parentbased_always_off");
    let server = launch.ready().await;
    let sampled = check(&server, &traceparent("01")).await;
    check(&server, &traceparent("00")).await;
    check(&server, "00-nonsense").await;
    server.client().get("/api/v1/session").await;
    let spans = all_told(server, &collector);
    assert_eq!(of_request(&spans, &sampled).parent, PARENT);
    assert_eq!(spans.len(), 1, "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ratio_is_kept_to() {
    const CHECKS: usize = 1000;
    let collector = FakeCollector::start().await;
    let server = proxied_to(&collector)
        .set("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        .set("OTEL_TRACES_SAMPLER_ARG", "0.5")
        .ready()
        .await;
    let mut client = server.client();
    for _ in 0..CHECKS {
        client.get("/api/v1/session").await;
    }
    let told = all_told(server, &collector).len();
    // Ten standard deviations to either side: never by chance.
    assert!((CHECKS / 2 - 160..CHECKS / 2 + 160).contains(&told), "{told} of {CHECKS}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_sampler_off_nothing_is_told() {
    let collector = FakeCollector::start().await;
    let server = proxied_to(&collector).set("OTEL_TRACES_SAMPLER", "always_off").ready().await;
    assert_eq!(check(&server, &traceparent("01")).await.status, 401);
    assert!(all_told(server, &collector).is_empty());
    assert!(collector.exports().is_empty());
}
