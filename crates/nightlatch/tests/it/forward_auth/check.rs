//! `/api/v1/auth/check`: whom it lets in, what it says of them, and where it leads everybody else.

use nightlatch_testkit::client::{Answer, Client, percent_encoded};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::server::{Launch, NightlatchServer};
use serde_json::json;

use super::Parted;
use crate::person::{Person, SESSION};
use crate::problem::assert_problem;
use crate::record::{Record, launch, on_each_record};

const PATH: &str = "/api/v1/auth/check";

/// What a proxy says of somebody who looks at a page of the application.
const PAGE: [(&str, &str); 4] = [
    ("accept", "text/html,application/xhtml+xml;q=0.9"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "app.example.org"),
    ("x-forwarded-uri", "/reports?year=2026&all=1"),
];

const LOGIN: &str = "https://login.example/auth/login";

/// Behind a proxy on this machine, in front of an application.
fn behind_proxy() -> Launch {
    launch()
        .in_production()
        .set("TRUSTED_PROXIES", "127.0.0.1/32")
        .set("REDIRECT_HOSTS", "https://app.example.org")
}

async fn ask(client: &mut Client, method: Method, lines: &[(&'static str, &str)]) -> Answer {
    let mut request = client.request(method, PATH);
    for (name, value) in lines {
        request = request.header(name, value);
    }
    request.send().await
}

/// `PAGE` with lines of another value, or without them.
fn page_but(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
    let rest = PAGE.into_iter().filter(|(name, _)| !is_changed(name));
    rest.chain(changes.iter().copied().filter(|(_, value)| !value.is_empty())).collect()
}

#[track_caller]
fn assert_headers_of_every_answer(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let vary = answer.header("vary").unwrap_or_default();
    for name in ["Cookie", "Authorization", "Accept", "X-Forwarded-Uri", "X-Original-URL"] {
        assert!(vary.contains(name), "{vary}");
    }
    assert!(answer.cookies().is_empty(), "{answer:?}");
}

on_each_record!(whoever_has_a_session_is_let_in_by_name_with_any_method_and_path);

async fn whoever_has_a_session_is_let_in_by_name_with_any_method_and_path(record: Record) {
    let stand = record.serve().await;
    let server = &stand.server;
    let mut alice = Person::registered(server, "alice").await;
    let _ = server.command(&["user", "set-groups", "alice", "staff", "Büro"]);
    alice.log_in().await;
    let id = alice.session_id().await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
    {
        for path in [PATH, "/api/v1/auth/check/", "/api/v1/auth/check/a/../%2f//b?groups=x"] {
            let method = method.parse().expect("a method");
            let answer = alice.client.request(method, path).send().await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            assert_headers_of_every_answer(&answer);
            assert_eq!(answer.header("remote-user"), Some("alice"));
            assert_eq!(answer.header("remote-groups"), Some("B%C3%BCro,staff"));
            assert_eq!(answer.header("remote-name"), Some(""));
            assert_eq!(answer.header("x-session-id"), Some(id.as_str()));
            assert!(answer.body.is_empty());
        }
    }
    assert_eq!(alice.log_out().await.status, 200);
    alice.client.set_cookie(SESSION, "x");
    for method in ["GET", "POST", "OPTIONS", "TRACE", "PROPFIND"] {
        let method = method.parse().expect("a method");
        let answer = alice.client.request(method, PATH).send().await;
        assert_problem(&answer, 401, "no_session");
        assert_headers_of_every_answer(&answer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_learns_a_name_in_ascii_and_only_an_address_that_is_known_to_be_theirs() {
    let server = launch().ready().await;
    let mut jose = server.client();
    let body = json!({ "username": "José", "email": "jose@example.org", "name": "José 50%",
                       "password": crate::person::PASSWORD });
    assert_eq!(jose.post_json("/api/v1/auth/register", &body).await.status, 201);
    let login = json!({ "username": "José", "password": crate::person::PASSWORD });
    assert_eq!(jose.post_json("/api/v1/auth/login", &login).await.status, 200);
    let answer = jose.get(PATH).await;
    assert_eq!(answer.header("remote-user"), Some("Jos%C3%A9"));
    assert_eq!(answer.header("remote-name"), Some("Jos%C3%A9 50%25"));
    assert_eq!(answer.header("remote-groups"), Some(""));
    assert_eq!(answer.header("remote-email"), None);

    let _ = server.command(&["user", "verify-email", "José"]);
    assert_eq!(jose.post_json("/api/v1/auth/login", &login).await.status, 200);
    assert_eq!(jose.get(PATH).await.header("remote-email"), Some("jose@example.org"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bearer_is_let_in_and_an_authorization_header_alone_decides() {
    let server = launch().ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    let login = json!({ "username": "alice", "password": alice.password });
    let tokens = alice.client.post_json("/api/v1/auth/token", &login).await.json();
    let bearer = format!("Bearer {}", tokens["access"].as_str().expect("a token"));
    let mut program = server.client();
    let answer = ask(&mut program, Method::POST, &[("authorization", &bearer)]).await;
    assert_eq!((answer.status, answer.header("remote-user")), (200, Some("alice")));
    for other in ["Basic YTpi", "Bearer x", "Bearer"] {
        let answer = ask(&mut alice.client, Method::GET, &[("authorization", other)]).await;
        assert_problem(&answer, 401, "no_session");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_in_none_of_the_groups_is_told_so_and_more_lists_let_nobody_in() {
    let server = behind_proxy().ready().await;
    let mut alice = Person::registered(&server, "alice").await;
    let _ = server.command(&["user", "set-groups", "alice", "staff", "night shift"]);
    alice.log_in().await;
    for (query, status) in [
        ("?groups=staff", 200),
        ("?groups=admins,staff", 200),
        ("?groups=admins,%20night%20shift", 200),
        ("?groups=admins%2Cnight+shift&other=1", 200),
        ("?groups=staff&groups=night+shift", 200),
        ("?", 200),
        ("?groups=admins", 403),
        ("?groups=Staff", 403),
        ("?groups=", 403),
        ("?groups", 403),
        ("?groups=,", 403),
        ("?groups=admins&groups=staff", 403),
        ("?groups=admins&of=/page?x=1&groups=staff", 403),
        ("/?groups=admins", 403),
    ] {
        let answer = alice.client.get(&format!("{PATH}{query}")).await;
        assert_eq!(answer.status, status, "{query}");
        assert_headers_of_every_answer(&answer);
        if status == 403 {
            assert_problem(&answer, 403, "not_in_group");
            assert_eq!(answer.header("remote-user"), None);
        }
    }
    // Whoever looks at a page, too: a login would change nothing.
    let mut request = alice.client.request(Method::GET, "/api/v1/auth/check?groups=admins");
    for (name, value) in PAGE {
        request = request.header(name, value);
    }
    assert_problem(&request.send().await, 403, "not_in_group");
    let stranger = server.client().get("/api/v1/auth/check?groups=admins").await;
    assert_problem(&stranger, 401, "no_session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_led_to_the_login_and_a_program_told() {
    let server = behind_proxy().ready().await;
    let mut stranger = server.client();
    let back = percent_encoded("https://app.example.org/reports?year=2026&all=1");
    let to_login = format!("{LOGIN}?next={back}");
    for (method, lines) in [
        ("GET", page_but(&[])),
        ("POST", page_but(&[("x-forwarded-method", "GET")])),
        ("GET", page_but(&[("accept", "application/json, text/html;q=0.5")])),
        ("GET", page_but(&[("x-forwarded-host", "APP.example.org:443")])),
    ] {
        let answer = ask(&mut stranger, method.parse().expect("a method"), &lines).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, Some(&*to_login)),
            "{lines:?}"
        );
        assert_headers_of_every_answer(&answer);
    }
    for (method, lines) in [
        ("POST", page_but(&[])),
        ("HEAD", page_but(&[])),
        ("GET", page_but(&[("x-forwarded-method", "POST")])),
        ("GET", page_but(&[("x-forwarded-method", "get")])),
        ("GET", page_but(&[("accept", "")])),
        ("GET", page_but(&[("accept", "application/json")])),
        ("GET", page_but(&[("accept", "*/*")])),
        ("GET", page_but(&[("accept", "text/html;q=0")])),
        ("GET", page_but(&[("x-forwarded-uri", "")])),
        ("GET", page_but(&[("x-original-url", "https://app.example.org/")])),
        ("GET", page_but(&[("x-original-uri", "/")])),
    ] {
        let is_head = method == "HEAD";
        let answer = ask(&mut stranger, method.parse().expect("a method"), &lines).await;
        assert_eq!((answer.status, answer.header("location")), (401, None), "{method} {lines:?}");
        assert_headers_of_every_answer(&answer);
        if !is_head {
            assert_problem(&answer, 401, "no_session");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_no_trusted_proxy_is_believed_nothing() {
    for trusted in ["", "192.0.2.0/24"] {
        let server = behind_proxy().set("TRUSTED_PROXIES", trusted).ready().await;
        let lines = page_but(&[("x-forwarded-for", "192.0.2.7")]);
        let answer = ask(&mut server.client(), Method::GET, &lines).await;
        assert_problem(&answer, 401, "no_session");
        assert_eq!(answer.header("location"), None);
    }
}

/// Ways to have somebody else's page take over behind the login, each as lines of a proxy.
const LURES: &[&[(&str, &str)]] = &[
    &[("x-forwarded-host", "evil.example")],
    &[("x-forwarded-host", "app.example.org.evil.example")],
    &[("x-forwarded-host", "evil-app.example.org")],
    &[("x-forwarded-host", "example.org")],
    &[("x-forwarded-host", "app.example.org.")],
    &[("x-forwarded-host", "app.example.org:8443")],
    &[("x-forwarded-host", "app.example.org:80")],
    &[("x-forwarded-host", "app.example.org:")],
    &[("x-forwarded-host", "app.example.org:443@evil.example")],
    &[("x-forwarded-host", "app.example.org@evil.example")],
    &[("x-forwarded-host", "evil.example@app.example.org")],
    &[("x-forwarded-host", "evil.example#app.example.org")],
    &[("x-forwarded-host", "evil.example?app.example.org")],
    &[("x-forwarded-host", "evil.example/app.example.org")],
    &[("x-forwarded-host", "evil.example\\app.example.org")],
    &[("x-forwarded-host", "evil.example%2fapp.example.org")],
    &[("x-forwarded-host", "evil.example, app.example.org")],
    &[("x-forwarded-host", "app.example.org, evil.example")],
    &[("x-forwarded-host", "app.example.org evil.example")],
    &[("x-forwarded-host", "app.example.org\tevil.example")],
    &[("x-forwarded-host", "//app.example.org")],
    &[("x-forwarded-host", "https://app.example.org")],
    &[("x-forwarded-host", "\u{430}pp.example.org")],
    &[("x-forwarded-host", "app.ex\u{e4}mple.org")],
    &[("x-forwarded-host", "app\u{3002}example\u{3002}org")],
    &[("x-forwarded-host", "xn--pp-7kc.example.org")],
    &[("x-forwarded-host", "")],
    &[("x-forwarded-host", "app.example.org"), ("x-forwarded-host", "evil.example")],
    &[("x-forwarded-host", "app.example.org"), ("x-forwarded-host", "app.example.org")],
    &[("connection", "X-Forwarded-Host")],
    &[("connection", "keep-alive, x-forwarded-proto")],
    &[("x-forwarded-proto", "http")],
    &[("x-forwarded-proto", "javascript")],
    &[("x-forwarded-proto", "https,http")],
    &[("x-forwarded-proto", "https://evil.example/?")],
    &[("x-forwarded-proto", "")],
    &[("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")],
    &[("x-forwarded-uri", "https://evil.example/")],
    &[("x-forwarded-uri", "@evil.example/")],
    &[("x-forwarded-uri", ".evil.example/")],
    &[("x-forwarded-uri", ":443@evil.example/")],
    &[("x-forwarded-uri", "\\evil.example/")],
    &[("x-forwarded-uri", "/\\evil.example/")],
    &[("x-forwarded-uri", "/a\tb")],
    &[("x-forwarded-uri", "/a b")],
    &[("x-forwarded-uri", "/\u{2028}")],
    &[("x-forwarded-uri", "*")],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_leads_behind_the_login_to_somebody_else() {
    let server = behind_proxy().ready().await;
    let mut stranger = server.client();
    for lure in LURES {
        let lines = page_but(lure);
        let answer = ask(&mut stranger, Method::GET, &lines).await;
        // To the login without a way back, or nowhere at all.
        match answer.status {
            302 => assert_eq!(answer.header("location"), Some(LOGIN), "{lure:?}"),
            status => assert_eq!((status, answer.header("location")), (401, None), "{lure:?}"),
        }
    }
    let long = "/".repeat(3000);
    let lines: Vec<_> = page_but(&[("x-forwarded-uri", "")]);
    let lines = lines.into_iter().chain([("x-forwarded-uri", long.as_str())]);
    let answer = ask(&mut stranger, Method::GET, &lines.collect::<Vec<_>>()).await;
    assert_eq!((answer.status, answer.header("location")), (302, Some(LOGIN)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_looks_like_another_host_in_a_path_stays_a_path_of_the_application() {
    let server = behind_proxy().ready().await;
    let mut stranger = server.client();
    for uri in [
        "//evil.example",
        "/%2f%2fevil.example",
        "/%5cevil.example",
        "/@evil.example",
        "/x?next=https://evil.example/&a=b",
        "/%0d%0aSet-Cookie:%20a=b",
        "/a,b;c",
    ] {
        let lines: Vec<_> = page_but(&[("x-forwarded-uri", "")]);
        let lines: Vec<_> = lines.into_iter().chain([("x-forwarded-uri", uri)]).collect();
        let answer = ask(&mut stranger, Method::GET, &lines).await;
        let back = percent_encoded(&format!("https://app.example.org{uri}"));
        let expected = format!("{LOGIN}?next={back}");
        assert_eq!((answer.status, answer.header("location")), (302, Some(&*expected)), "{uri}");
    }
    // Our own origin is led to as well.
    let lines = page_but(&[("x-forwarded-host", "login.example"), ("x-forwarded-uri", "/app/")]);
    let answer = ask(&mut stranger, Method::GET, &lines).await;
    let expected = format!("{LOGIN}?next=https%3A%2F%2Flogin.example%2Fapp%2F");
    assert_eq!((answer.status, answer.header("location")), (302, Some(&*expected)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowed_origin_lets_no_preflight_through_to_an_application() {
    let server = behind_proxy().set("ALLOWED_ORIGINS", "https://app.example.org").ready().await;
    let mut stranger = server.client();
    for path in [PATH, "/api/v1/auth/check/", "/api/v1/auth/check/secret"] {
        let request = stranger.request(Method::OPTIONS, path);
        let request = request.header("origin", "https://app.example.org");
        let answer = request.header("access-control-request-method", "DELETE").send().await;
        assert_problem(&answer, 401, "no_session");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_knowing_is_neither_yes_nor_no() {
    let launch = launch()
        .set("TRUSTED_PROXIES", "127.0.0.1/32")
        .set("REDIRECT_HOSTS", "https://app.example.org");
    let parted = Parted::serve(launch).await;
    let here = &parted.here;
    let mut known = Person::logged_in(here, "alice").await;
    let mut elsewhere = known.on_another_device(&parted.there).await;
    elsewhere.client.move_to(here.address());
    assert_eq!(known.client.get(PATH).await.status, 200);
    parted.part().await;
    // Known here: as before, without asking anybody.
    let answer = known.client.get(PATH).await;
    assert_eq!((answer.status, answer.header("remote-user")), (200, Some("alice")));
    // Not known here: a program and a person alike are told to come back, and keep their cookie.
    for lines in [&[][..], &PAGE[..]] {
        let answer = ask(&mut elsewhere.client, Method::GET, lines).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_headers_of_every_answer(&answer);
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.header("location"), None);
    }
    // Nobody at all is known to be nobody.
    assert_problem(&here.client().get(PATH).await, 401, "no_session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_are_counted_and_not_logged() {
    let server: NightlatchServer = launch().set("TRUSTED_PROXIES", "127.0.0.1/32").ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    for path in [PATH, "/api/v1/auth/check/a", "/api/v1/auth/check?groups=x"] {
        let _ = alice.client.get(path).await;
    }
    let mut stranger = server.client();
    let _ = stranger.get(PATH).await;
    assert_eq!(ask(&mut stranger, Method::GET, &PAGE).await.status, 302);
    let metrics = stranger.get("/metrics").await.text();
    for (status, count) in [(200, 2), (302, 1), (401, 1), (403, 1)] {
        let line = format!(
            "nightlatch_http_requests_total{{endpoint=\"check\",status=\"{status}\"}} {count}"
        );
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    assert!(!server.log().contains("auth/check"));
}
