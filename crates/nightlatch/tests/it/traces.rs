//! Traces, as a collector of OpenTelemetry is told them: which spans arrive, and what never does.
//!
//! The collector is a stand-in that reads the protocol's own messages, since none is packaged.

mod sampled;
mod untold;

use nightlatch_testkit::auth_service::{FakeAuthService, SERVICE_ID, SERVICE_SECRET};
use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::client::Answer;
use nightlatch_testkit::collector::{FakeCollector, ToldSpan};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::nginx::Nginx;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::{Launch, NightlatchServer};
use nightlatch_testkit::wait::wait_until;
use serde_json::json;

use crate::metrics::becomes;
use crate::metrics::scrape::Scrape;
use crate::person::{LIMIT, PASSWORD, Person};
use crate::record::{Record, launch, on_each_record};

/// A span of somebody who calls through a proxy, sampled.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn tracing_to(collector: &FakeCollector) -> Launch {
    launch().set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
}

/// The same behind a proxy on this machine.
fn proxied_to(collector: &FakeCollector) -> Launch {
    tracing_to(collector).set("TRUSTED_PROXIES", "127.0.0.1")
}

/// What the collector was told until the server has ended: all of it.
fn all_told(mut server: NightlatchServer, collector: &FakeCollector) -> Vec<ToldSpan> {
    assert_eq!(server.terminate(), Some(0));
    collector.spans()
}

fn find(spans: &[ToldSpan], is_it: impl Fn(&ToldSpan) -> bool) -> &ToldSpan {
    let found: Vec<_> = spans.iter().filter(|span| is_it(span)).collect();
    let [span] = found[..] else { panic!("{} of {spans:#?}", found.len()) };
    span
}

/// The one span of a request.
fn of_request<'a>(spans: &'a [ToldSpan], answer: &Answer) -> &'a ToldSpan {
    let id = answer.header("x-request-id").expect("each answer has one");
    find(spans, |span| span.says("nightlatch.request_id") == id)
}

/// The spans right beneath one, of this dependency.
fn beneath<'a>(spans: &'a [ToldSpan], above: &ToldSpan, peer: &str) -> Vec<&'a ToldSpan> {
    let is_beneath = |span: &&ToldSpan| span.parent == above.id && span.trace == above.trace;
    let found: Vec<_> = spans.iter().filter(is_beneath).collect();
    found.into_iter().filter(|span| span.says("peer.service") == peer).collect()
}

async fn spans_are(server: &NightlatchServer, outcome: &str, is_so: impl Fn(f64) -> bool) {
    let series = format!("nightlatch_trace_spans_total{{outcome=\"{outcome}\"}}");
    let mut client = server.client();
    wait_until(&series, LIMIT, async || {
        Scrape::of(&mut client).await.value(&series).is_some_and(&is_so)
    })
    .await;
}

on_each_record!(a_login_and_a_session_check_arrive_under_the_span_of_the_proxy);

async fn a_login_and_a_session_check_arrive_under_the_span_of_the_proxy(record: Record) {
    let collector = FakeCollector::start().await;
    let redis = RedisServer::launch();
    let launch = proxied_to(&collector).set("REDIS_URL", &redis.url());
    let stand = record.serve_with(launch).await;
    let server = stand.server;
    // A connection that is new counts nothing yet.
    becomes(&server, "nightlatch_throttle_together", |together| together == 1).await;
    let mut alice = Person::registered(&server, "alice").await;
    let body = json!({ "username": "alice", "password": PASSWORD });
    let request = alice.client.request(Method::POST, "/api/v1/auth/login/");
    let login = request.header("traceparent", traceparent("01")).json(&body).send().await;
    assert_eq!(login.status, 200, "{}", login.text());
    let request = alice.client.request(Method::GET, "/api/v1/session");
    let check = request.header("traceparent", traceparent("01")).send().await;
    assert_eq!(check.status, 200);
    alice.client.get("/health").await;
    let nowhere = alice.client.get("/nowhere/somebody@example.com?secret=x").await;

    let spans = all_told(server, &collector);
    let span = of_request(&spans, &login);
    assert_eq!(span.name, "POST /api/v1/auth/login");
    assert_eq!((span.kind, span.is_error), (SERVER, false));
    assert_eq!((span.trace.as_str(), span.parent.as_str()), (TRACE, PARENT));
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/v1/auth/login"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(span.says(name), value, "{name}");
    }
    for (name, value) in [
        ("service.name", "nightlatch"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment.name", "development"),
    ] {
        assert_eq!(span.resource[name], value, "{name}");
    }
    let calls = beneath(&spans, span, "database");
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["find_credentials", "create_session"]);
    assert!(!beneath(&spans, span, "redis").is_empty(), "the throttle counts there: {spans:#?}");
    for call in spans.iter().filter(|call| call.parent == span.id) {
        assert_eq!((call.kind, call.is_error), (CLIENT, false), "{call:#?}");
        assert!(call.times.0 <= call.times.1 && span.times.0 <= call.times.1, "{call:#?}");
        assert_eq!(call.says("db.operation.name").is_empty(), call.name == "redis");
    }

    // Answered from memory it asks nobody.
    let span = of_request(&spans, &check);
    assert_eq!(span.name, "GET /api/v1/session");
    assert_eq!((span.trace.as_str(), span.parent.as_str()), (TRACE, PARENT));
    assert!(!spans.iter().any(|call| call.parent == span.id), "{spans:#?}");
    // What is typed is told nowhere, and looks at the server are not told at all.
    let span = of_request(&spans, &nowhere);
    assert_eq!((span.name.as_str(), span.says("http.route")), ("GET", ""));
    assert_eq!(span.says("error.type"), "not_found");
    assert!(!spans.iter().any(|span| span.name.contains("health")), "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_auth_service_is_told_whose_question_it_is() {
    let collector = FakeCollector::start().await;
    let service = FakeAuthService::start().await;
    service.knows_user("alice", PASSWORD);
    let server = proxied_to(&collector)
        .set("AUTH_SERVICE_URL", &service.url())
        .set("SERVICE_ID", SERVICE_ID)
        .set("SERVICE_SECRET", SERVICE_SECRET)
        .ready()
        .await;
    let login = async |parent: &str, state: &str| {
        let mut client = server.client();
        let body = json!({ "username": "alice", "password": PASSWORD });
        let request = client.request(Method::POST, "/api/v1/auth/login").json(&body);
        request.header("traceparent", parent).header("tracestate", state).send().await
    };
    let traced = login(&traceparent("01"), "vendor=1").await;
    let untraced = login(&traceparent("00"), "vendor=2").await;
    assert_eq!((traced.status, untraced.status), (200, 200));
    let [asked, asked_untraced] = &service.logins()[..] else { panic!("each asks once") };
    let told = asked.header("traceparent").expect("it is told").to_owned();
    assert_eq!(asked.header("tracestate"), Some("vendor=1"));
    // Who was not traced before is not traced behind us.
    let untold = asked_untraced.header("traceparent").expect("it is told");
    assert!(untold.starts_with(&format!("00-{TRACE}-")) && untold.ends_with("-00"), "{untold}");

    let spans = all_told(server, &collector);
    let span = of_request(&spans, &traced);
    let [call] = beneath(&spans, span, "auth_service")[..] else { panic!("{spans:#?}") };
    assert_eq!((call.name.as_str(), call.kind), ("POST", CLIENT));
    assert_eq!(told, format!("00-{TRACE}-{}-01", call.id));
    let id = untraced.header("x-request-id").expect("an id");
    assert!(!spans.iter().any(|span| span.says("nightlatch.request_id") == id), "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_a_call_has_failed_stands_in_its_span() {
    let collector = FakeCollector::start().await;
    let service = FakeAuthService::start().await;
    let redis = RedisServer::launch();
    let server = tracing_to(&collector)
        .set("AUTH_SERVICE_URL", &service.url())
        .set("SERVICE_ID", SERVICE_ID)
        .set("SERVICE_SECRET", "not-the-one-that-it-wants")
        .set("REDIS_URL", &redis.url())
        .ready()
        .await;
    becomes(&server, "nightlatch_throttle_together", |together| together == 1).await;
    redis.pause();
    let refused = Person::new(&server, "alice").try_password(PASSWORD).await;
    assert_eq!(refused.code(), "upstream_service_credentials");
    let spans = all_told(server, &collector);
    let span = of_request(&spans, &refused);
    assert!(span.is_error, "{span:#?}");
    assert_eq!(span.says("http.response.status_code"), "502");
    assert_eq!(span.says("error.type"), "upstream_service_credentials");
    for (peer, class) in [("auth_service", "forbidden"), ("redis", "timeout")] {
        let calls = beneath(&spans, span, peer);
        assert!(!calls.is_empty(), "{peer}: {spans:#?}");
        for call in calls {
            assert!(call.is_error, "{call:#?}");
            assert_eq!(call.says("error.type"), class, "{call:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_behind_tls_and_a_key_is_told_too() {
    let collector = FakeCollector::start().await;
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost", 2);
    let nginx = Nginx::in_front_of(collector.port(), &certificate, &key);
    let ca = authority.path("ca.pem");
    let with = |ca: &str| {
        launch()
            .set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("https://localhost:{}", nginx.port()))
            .set("OTEL_EXPORTER_OTLP_CERTIFICATE", ca)
            .set("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=sesame%20of%20the%20collector")
            .set("OTEL_SERVICE_NAME", "login")
            .set("LOG_LEVEL", "trace")
    };
    let server = with(ca.to_str().expect("a plain path")).ready().await;
    Person::logged_in(&server, "alice").await;
    spans_are(&server, "exported", |spans| spans > 0.0).await;
    let export = collector.exports().pop().expect("it was sent something");
    assert_eq!(export.header("x-api-key"), Some("sesame of the collector"));
    assert_eq!(collector.spans()[0].resource["service.name"], "login");
    let shown = server.command(&["config"]);
    assert!(shown.contains("OTEL_EXPORTER_OTLP_HEADERS"), "{shown}");
    for said in [shown, server.log()] {
        assert!(!said.contains("sesame"), "{said}");
    }

    let stranger = authority.path("stranger.pem");
    let server = with(stranger.to_str().expect("a plain path")).ready().await;
    Person::logged_in(&server, "bob").await;
    spans_are(&server, "failed", |spans| spans > 0.0).await;
    server.wait_for_log("traces.export_failed", LIMIT);
    assert!(server.log().contains("tls_untrusted"), "{}", server.log());
}
