//! `doctor auth-service` beside a service in each state.

use std::time::Duration;

use nightlatch_testkit::auth_service::{Conduct, FakeAuthService, SERVICE_ID, SERVICE_SECRET};
use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::full_listener::FullListener;
use nightlatch_testkit::nginx::Nginx;
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;

use super::{Verdict, doctor};
use crate::record::launch;

fn text(url: &str) -> String {
    format!(
        "AUTH_SERVICE_URL={url}\nSERVICE_ID={SERVICE_ID}\nSERVICE_SECRET={SERVICE_SECRET}\n\
         AUTH_SERVICE_CONNECT_TIMEOUT=1\nAUTH_SERVICE_READ_TIMEOUT=1\n"
    )
}

/// Exactly this is wrong, and scripts are told.
fn assert_wrong(text: &str, ids: &[&str]) -> Verdict {
    let found = doctor("auth-service", text);
    assert_eq!(found.wrong(), ids, "{text}: {:#?}", found.findings);
    let has_error = found.findings.iter().any(|finding| finding["level"] == "error");
    assert_eq!(found.code, Some(i32::from(has_error)), "{text}");
    found
}

fn told<'a>(found: &'a Verdict, id: &str, member: &str) -> &'a str {
    found.find(id)[member].as_str().unwrap_or_else(|| panic!("{:#?}", found.findings))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_service_is_asked_once_about_nobody() {
    let service = FakeAuthService::start().await;
    service.knows_user("alice", "sesame");
    let found = assert_wrong(&text(&service.url()), &[]);
    assert!(told(&found, "auth-service-answers", "why").contains("answered in"));
    let again = assert_wrong(&text(&service.url()), &[]);
    again.find("auth-service-answers");
    let [one, other] = &service.logins()[..] else { panic!("each asks once") };
    let (one, other) = (one.json(), other.json());
    assert!(one["username"].as_str().is_some_and(|name| name.starts_with("nightlatch-doctor-")));
    assert_ne!(one["username"], other["username"]);
    assert_ne!(one["password"], other["password"]);
    assert_wrong("LOG_LEVEL=info\n", &[]).find("auth-service-none");
    // With all the rest, where it is Nightlatch's.
    let ours =
        format!("SESSION_SECRET_KEY=0123456789abcdef0123456789abcdef\n{}", text(&service.url()));
    doctor("all", &ours).find("auth-service-answers");
    assert_eq!(service.logins().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_that_is_no_refusal_is_told_apart() {
    let service = FakeAuthService::start().await;
    let text = text(&service.url());
    let json = |status, body: &str| Conduct::answers(status, body);
    let other = |status, headers: &[(&str, &str)]| Conduct::answers_with(status, headers, "sesame");
    let large = format!("{{\"sesame\":\"{}\"}}", "x".repeat(70_000));
    for (conduct, id) in [
        (json(403, "{}"), "auth-service-credentials"),
        (json(401, "{\"code\":\"service_unknown\"}"), "auth-service-credentials"),
        (json(404, "{}"), "auth-service-endpoint"),
        (json(405, "{}"), "auth-service-endpoint"),
        (json(429, "{}"), "auth-service-busy"),
        (json(503, "{}"), "auth-service-busy"),
        (json(500, "{}"), "auth-service-fails"),
        (json(502, "{}"), "auth-service-fails"),
        (json(400, "{}"), "auth-service-field"),
        (json(422, "{}"), "auth-service-field"),
        (json(200, "{\"message\":\"sesame\"}"), "auth-service-no-subject"),
        (json(200, "{\"user\":{\"id\":7}}"), "auth-service-takes-anybody"),
        (json(200, &large), "auth-service-protocol"),
        (json(200, "{"), "auth-service-protocol"),
        (other(200, &[("content-type", "text/html")]), "auth-service-page"),
        (other(401, &[("content-type", "text/html; charset=utf-8")]), "auth-service-page"),
        (Conduct::Says(b"sesame\r\n\r\n".to_vec()), "auth-service-protocol"),
        (Conduct::Closes, "auth-service-closed"),
        (Conduct::Late(Duration::from_secs(3)), "auth-service-hangs"),
        (Conduct::Late(Duration::from_millis(600)), "auth-service-slow"),
    ] {
        service.set(conduct.clone());
        let found = doctor("auth-service", &text);
        assert_eq!(found.wrong(), [id], "{conduct:?}: {:#?}", found.findings);
    }
    service.set(other(302, &[("location", "https://login.example.com/sesame?x=sesame")]));
    let found = assert_wrong(&text, &["auth-service-redirects"]);
    let why = told(&found, "auth-service-redirects", "why");
    assert!(why.contains("to https://login.example.com)"), "{why}");
    let line = format!("AUTH_SERVICE_URL={}", service.url().replace("http:", "https:"));
    assert_eq!(told(&found, "auth-service-redirects", "fix"), line);
    let headers = [("content-type", "application/json"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")];
    service.set(Conduct::answers_with(401, &headers, "{}"));
    let found = assert_wrong(&text, &["auth-service-clock"]);
    found.find("auth-service-answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_it_from_being_asked_is_told_apart() {
    let service = FakeAuthService::start().await;
    let url = service.url();
    let found =
        assert_wrong(&format!("AUTH_SERVICE_URL={url}\n"), &["auth-service-credentials-missing"]);
    assert_eq!(told(&found, "auth-service-credentials-missing", "name"), "SERVICE_ID");
    let found = doctor("auth-service", "AUTH_SERVICE_URL=ftp://sesame@x\n");
    assert!(found.wrong().contains(&"auth-service-url-unreadable"), "{:#?}", found.findings);
    let wrong = text(&url).replace(SERVICE_SECRET, "sesame-no");
    assert_wrong(&wrong, &["auth-service-credentials"]);

    let at = |port: u16| text(&format!("http://127.0.0.1:{port}"));
    assert_wrong(&at(free_port()), &["auth-service-unreachable"]);
    assert_wrong(&text("http://nowhere.invalid"), &["auth-service-dns"]);
    let (redis, postgres) = (RedisServer::launch(), PostgresServer::shared());
    for (port, name) in [(redis.port(), "Redis"), (postgres.port(), "PostgreSQL")] {
        let found = assert_wrong(&at(port), &["auth-service-wrong-service"]);
        assert!(told(&found, "auth-service-wrong-service", "why").contains(name));
    }
}

/// Nobody answers the SYN: the queue of those who want to connect is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_takes_no_connection_is_told_from_one_that_refuses_it() {
    let full = FullListener::start().await;
    for scheme in ["http", "https"] {
        let url = text(&format!("{scheme}://127.0.0.1:{}", full.port()));
        let found = assert_wrong(&url, &["auth-service-no-answer"]);
        assert!(told(&found, "auth-service-no-answer", "why").contains("a firewall drops it"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_told_apart_in_all_its_ways() {
    let service = FakeAuthService::start().await;
    let authority = Authority::new();
    let (ca, stranger) = (authority.path("ca.pem"), authority.path("stranger.pem"));
    let before = |host: &str, days: i32| {
        let (certificate, key) = authority.issue(host, days);
        Nginx::in_front_of(service.port(), &certificate, &key)
    };
    let good = before("localhost", 2);
    let (expired, other) = (before("localhost", -1), before("elsewhere.example", 2));
    for (port, ca, ids) in [
        (good.port(), &ca, &[][..]),
        (good.port(), &stranger, &["auth-service-tls-untrusted"]),
        (expired.port(), &ca, &["auth-service-tls-expired"]),
        (other.port(), &ca, &["auth-service-tls-hostname"]),
    ] {
        let url = text(&format!("https://localhost:{port}"));
        assert_wrong(&format!("{url}AUTH_SERVICE_CA_FILE={}\n", ca.display()), ids);
    }
    // Whatever speaks no TLS, and that one of these waits for more.
    let (redis, plain) = (RedisServer::launch(), Nginx::caching_for_everybody(service.port()));
    let web = launch().ready().await;
    for port in [plain.port(), web.address().port()] {
        let url = text(&format!("https://localhost:{port}"));
        let found = assert_wrong(&url, &["auth-service-tls-not-spoken"]);
        let why = told(&found, "auth-service-tls-not-spoken", "why");
        assert!(why.contains("correct the port") && !why.contains("http://"), "{why}");
    }
    let url = text(&format!("https://localhost:{}", redis.port()));
    let found = assert_wrong(&url, &["auth-service-wrong-service"]);
    assert!(told(&found, "auth-service-wrong-service", "why").contains("Redis"));
    let url = text(&service.url().replace("http:", "https:"));
    let found = assert_wrong(&url, &["auth-service-hangs"]);
    assert!(told(&found, "auth-service-hangs", "why").contains("speaks no TLS"));
    assert_eq!(service.logins().len(), 1, "credentials go only to whom we believe");
}
