//! Each failure of the service has its own status and code, within the deadline, and never 500 or 401.

use std::time::Duration;

use nightlatch_testkit::auth_service::{Conduct, FakeAuthService, SERVICE_SECRET};
use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::client::Answer;
use nightlatch_testkit::full_listener::FullListener;
use nightlatch_testkit::server::NightlatchServer;
use nightlatch_testkit::wait::wait_until;
use serde_json::json;
use tokio::time::Instant;

use super::{delegating_to, knowing_alice, log_in, log_in_as};
use crate::person::{LIMIT, PASSWORD};

/// The login deadline, and some for this machine.
const CEILING: Duration = Duration::from_millis(5500);

fn says(text: &str) -> Conduct {
    Conduct::Says(text.replace('\n', "\r\n").into_bytes())
}

/// A way to fail: what the service does, and what the caller is told.
type Failure = (&'static str, Conduct, (u16, &'static str));

const BAD: (u16, &str) = (502, "upstream_bad_response");

fn json(status: u16, body: &str) -> Conduct {
    Conduct::answers(status, body)
}

/// What becomes of the connection.
fn of_connections() -> Vec<Failure> {
    vec![
        ("closes", Conduct::Closes, (503, "upstream_unreachable")),
        ("resets", Conduct::Resets, (503, "upstream_unreachable")),
        ("silent", Conduct::SaysAndStops(Vec::new()), (504, "upstream_read_timeout")),
        (
            "silent after headers",
            Conduct::SaysAndStops(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_vec()),
            (504, "upstream_read_timeout"),
        ),
        (
            "drip",
            Conduct::Drips(vec![b'H'; 999], Duration::from_millis(100)),
            (504, "upstream_read_timeout"),
        ),
        (
            "a slow trickle of an answer",
            Conduct::Drips(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n"
                    .to_vec(),
                Duration::from_millis(100),
            ),
            (504, "upstream_read_timeout"),
        ),
        ("late", Conduct::Late(Duration::from_secs(30)), (504, "upstream_read_timeout")),
    ]
}

/// What it says itself.
fn of_statuses() -> Vec<Failure> {
    vec![
        ("403", json(403, "{}"), (502, "upstream_service_credentials")),
        (
            "401 of the service",
            json(401, r#"{"code":"service_unknown"}"#),
            (502, "upstream_service_credentials"),
        ),
        ("404", json(404, "{}"), (502, "upstream_endpoint_missing")),
        ("405", json(405, "{}"), (502, "upstream_endpoint_missing")),
        ("429", json(429, "{}"), (503, "upstream_throttled")),
        ("408", json(408, "{}"), (503, "upstream_throttled")),
        ("500", json(500, "{}"), (502, "upstream_error")),
        ("502", json(502, "{}"), (502, "upstream_error")),
        ("503", json(503, "{}"), (503, "upstream_unavailable")),
        ("504", json(504, "{}"), (502, "upstream_error")),
        ("507", json(507, "{}"), (502, "upstream_error")),
    ]
}

/// What makes no sense.
fn of_answers() -> Vec<Failure> {
    let many = format!("HTTP/1.1 200 OK\n{}\n", "x-flood: 1\n".repeat(200));
    let huge = format!(r#"{{"id":1,"pad":"{}"}}"#, "x".repeat(70_000));
    let deep = format!(r#"{{"id":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    vec![
        ("HTML", Conduct::answers_with(200, &[("content-type", "text/html")], "<html>"), BAD),
        ("broken JSON", json(200, r#"{"id":1"#), BAD),
        ("nothing", json(200, ""), BAD),
        ("null", json(200, "null"), BAD),
        ("deep", json(200, &deep), BAD),
        ("huge", json(200, &huge), BAD),
        ("of the wrong type", json(200, r#"{"id":[1]}"#), BAD),
        ("without an id", json(200, r#"{"username":"alice"}"#), BAD),
        ("another user", json(200, r#"{"id":1,"username":"bob"}"#), BAD),
        (
            "cut",
            says(
                "HTTP/1.1 200 OK\ncontent-type: application/json\ncontent-length: 99\n\n{\"id\":1",
            ),
            BAD,
        ),
        (
            "gzip",
            Conduct::answers_with(
                200,
                &[("content-type", "application/json"), ("content-encoding", "gzip")],
                "\u{1f}bomb",
            ),
            BAD,
        ),
        ("a redirect", Conduct::answers_with(302, &[("location", "http://127.0.0.1:1/")], ""), BAD),
        ("307", Conduct::answers_with(307, &[("location", "/auth/login")], ""), BAD),
        (
            "double lengths",
            says(
                "HTTP/1.1 200 OK\ncontent-type: application/json\ncontent-length: 8\ncontent-length: 9\n\n{\"id\":1}",
            ),
            BAD,
        ),
        ("header flood", says(&many), BAD),
        (
            "a line without end",
            Conduct::Repeats(b"HTTP/1.1 200 OK\r\nx: xxxxxxxxxxxxxxxxx".to_vec()),
            BAD,
        ),
        ("HTTP/0.9", says("{\"id\":1}"), BAD),
        ("another protocol", says("-ERR unknown command\n"), BAD),
    ]
}

/// What a failure must be, besides its code.
fn assert_explained(what: &str, answer: &Answer) {
    assert_eq!(answer.header("set-cookie"), None, "{what}");
    let body = answer.json();
    assert_eq!(body["debug_info"]["dependency"], "auth_service", "{what}: {body}");
    assert_eq!(body["debug_info"]["service_id_configured"], true, "{what}");
    assert!(body["debug_info"]["attempts"].as_u64() >= Some(1), "{what}");
    assert!(body["original_error"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
    assert!(body["suggestions"].as_array().is_some_and(|list| !list.is_empty()), "{what}");
    let waits = answer.status != 502;
    assert_eq!(answer.header("retry-after").is_some(), waits, "{what}");
    assert!(!answer.text().contains(SERVICE_SECRET) && !answer.text().contains(PASSWORD), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_of_a_connection_has_its_own_answer() {
    assert_told_apart(of_connections()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_status_has_its_own_answer() {
    assert_told_apart(of_statuses()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_that_makes_no_sense_lets_nobody_in() {
    assert_told_apart(of_answers()).await;
}

async fn assert_told_apart(failures: Vec<Failure>) {
    let service = knowing_alice().await;
    for (what, conduct, (status, code)) in failures {
        // One that knows nothing of what came before.
        let server = delegating_to(&service.url())
            .set("AUTH_SERVICE_READ_TIMEOUT", "0.6")
            .set("AUTH_SERVICE_MAX_ATTEMPTS", "1")
            .ready()
            .await;
        service.set(conduct);
        let began = Instant::now();
        let answer = log_in(&server).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{what}: {}",
            answer.text()
        );
        assert!(began.elapsed() < CEILING, "{what}");
        assert_explained(what, &answer);
        assert_eq!(server.client().get("/health/live").await.status, 200);
        service.set(Conduct::Sound);
        assert_eq!(log_in(&server).await.status, 200, "{what}: and then it is well again");
        let log = server.log();
        assert!(!log.contains(SERVICE_SECRET) && !log.contains(PASSWORD), "{what}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_informational_answers_are_cut_off() {
    let service = knowing_alice().await;
    let server = delegating_to(&service.url())
        .set("AUTH_SERVICE_READ_TIMEOUT", "0.6")
        .set("AUTH_SERVICE_MAX_ATTEMPTS", "1")
        .ready()
        .await;
    service.set(Conduct::Repeats(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()));
    let began = Instant::now();
    let answer = log_in(&server).await;
    assert!(matches!(answer.status, 502 | 504), "{}", answer.text());
    assert!(began.elapsed() < CEILING);
}

/// What no cookie of theirs, and no header, may do: pass to the caller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_its_answer_passes_but_the_user() {
    let service = knowing_alice().await;
    let server = delegating_to(&service.url()).ready().await;
    let headers =
        [("content-type", "application/json"), ("set-cookie", "theirs=1"), ("x-theirs", "1")];
    service.set(Conduct::answers_with(
        200,
        &headers,
        r#"{"id":1,"username":"alice","secret":"s"}"#,
    ));
    let answer = log_in(&server).await;
    assert_eq!(answer.status, 200);
    assert!(answer.cookies().iter().all(|cookie| cookie.name != "theirs"));
    assert!(answer.header("x-theirs").is_none() && !answer.text().contains("secret"));
}

/// A server behind the proxy, whose way to the service is what fails.
async fn behind(proxy: &ChaosProxy) -> NightlatchServer {
    delegating_to(&format!("http://127.0.0.1:{}", proxy.port()))
        .set("AUTH_SERVICE_READ_TIMEOUT", "0.6")
        .set("AUTH_SERVICE_CONNECT_TIMEOUT", "0.4")
        .ready()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_fails_is_told_apart() {
    let service = knowing_alice().await;
    let proxy = ChaosProxy::start(service.port()).await;
    let server = behind(&proxy).await;
    for (fault, status, code) in [
        (Fault::Refuse, 503, "upstream_unreachable"),
        (Fault::Reset, 503, "upstream_unreachable"),
        (Fault::Silent, 504, "upstream_read_timeout"),
        (Fault::Garbage, 502, "upstream_bad_response"),
        (Fault::CutAfter(5), 502, "upstream_bad_response"),
        (
            Fault::Late { there: Duration::from_millis(500), back: Duration::from_millis(500) },
            504,
            "upstream_read_timeout",
        ),
    ] {
        assert_eq!(log_in(&server).await.status, 200, "before {fault:?}");
        proxy.set(fault).await;
        let answer = log_in(&server).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{fault:?}: {}",
            answer.text()
        );
        assert_explained(&format!("{fault:?}"), &answer);
        proxy.set(Fault::None).await;
        wait_until("it is used again", LIMIT, async || log_in(&server).await.status == 200).await;
    }
}

/// Nobody answers the SYN: the queue of those who want to connect is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_never_comes_is_a_time_out_of_its_own() {
    let full = FullListener::start().await;
    let server = delegating_to(&format!("http://127.0.0.1:{}", full.port()))
        .set("AUTH_SERVICE_CONNECT_TIMEOUT", "0.4")
        .set("AUTH_SERVICE_MAX_ATTEMPTS", "1")
        .ready()
        .await;
    let answer = log_in(&server).await;
    assert_eq!((answer.status, answer.code()), (504, "upstream_connect_timeout".to_owned()));
    assert_explained("SYN dropped", &answer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_nowhere_is_told() {
    let server = delegating_to("http://auth.nightlatch.invalid").ready().await;
    let answer = log_in(&server).await;
    assert_eq!((answer.status, answer.code()), (503, "upstream_dns".to_owned()));
    let health = server.client().get("/health").await.json();
    assert_eq!(health["auth_service"], "error: dns");
    assert_eq!(health["status"], "degraded");
}

/// In production the answer says nothing of what is beneath; the log line of the request does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn production_tells_the_caller_nothing_and_the_log_everything() {
    let service = FakeAuthService::start().await;
    service.set(Conduct::answers(500, "{}"));
    let server = delegating_to(&service.url()).in_production().ready().await;
    let mut client = server.client().with_header("x-forwarded-proto", "https");
    let answer = log_in_as(&mut client, "alice", PASSWORD).await;
    assert_eq!((answer.status, answer.code()), (502, "upstream_error".to_owned()));
    let body = answer.json();
    for member in ["original_error", "debug_info", "suggestions"] {
        assert_eq!(body[member], json!(null), "{member}");
    }
    assert!(!answer.text().contains(&service.port().to_string()));
    let id = answer.header("x-request-id").expect("an id").to_owned();
    server.wait_for_log(&id, LIMIT);
    let log = server.log();
    let line = log.lines().find(|line| line.contains(&id)).expect("a line with the id");
    for part in ["upstream_error", "auth_service", "\"attempts\":1", "500"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(service.logins().len(), 1, "production tries once");
}
