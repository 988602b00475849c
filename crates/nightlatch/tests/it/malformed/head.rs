//! Request lines and headers that are not HTTP, or too much of it.

use nightlatch_testkit::client::{RawAnswer, raw};
use nightlatch_testkit::hyper::Method;
use serde_json::Value;

use crate::problem::assert_problem;
use crate::record::launch;

/// A request with a body that is announced in a way of its own.
fn login(headers: &str, body: &str) -> Vec<u8> {
    let start = "POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    format!("{start}{headers}connection: close\r\n\r\n{body}").into_bytes()
}

fn get(headers: &str) -> Vec<u8> {
    format!("GET /health/live HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn what_is_not_http_gets_the_bare_status_and_a_closed_connection() {
    let server = launch().ready().await;
    let huge = "x".repeat(200_000);
    let many = "x-a: 1\r\n".repeat(201);
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("noise", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), &[400]),
        ("NULs", [0_u8; 300].to_vec(), &[400]),
        ("a word", b"hello\r\n\r\n".to_vec(), &[400]),
        ("no version", b"GET /health\r\n\r\n".to_vec(), &[400]),
        ("a version to come", b"GET /health HTTP/3.0\r\nhost: a\r\n\r\n".to_vec(), &[400, 505]),
        ("a blank in the path", b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), &[400]),
        ("a blank before the colon", get("x-a : 1"), &[400]),
        ("a header without a name", get(": 1"), &[400]),
        ("a NUL in a header", get("x-a: \0"), &[400]),
        ("a folded header", get("x-a: 1\r\n b: 2"), &[400]),
        ("no number as length", login("content-length: ten\r\n", ""), &[400]),
        ("a negative length", login("content-length: -1\r\n", ""), &[400]),
        ("two lengths", login("content-length: 2\r\ncontent-length: 3\r\n", "{}"), &[400]),
        ("an encoding that is none", login("transfer-encoding: zip\r\n", ""), &[400]),
        ("a header too large for the parser", get(&format!("x-a: {huge}")), &[431]),
        ("a path too long for the parser", login_path(&huge), &[414, 431]),
        ("too many headers for the parser", get(&many), &[431]),
    ];
    for (name, bytes, statuses) in cases {
        let answer = raw(server.address(), &bytes).await;
        let status = answer.status().unwrap_or_default();
        assert!(statuses.contains(&status), "{name}: {answer:?}");
        assert_eq!((answer.count(), answer.body()), (1, ""), "{name}: {answer:?}");
    }
    // An HTTP/2 client would not understand an answer of ours.
    let answer = raw(server.address(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(answer.text, "");
    assert_eq!(server.client().get("/health/live").await.status, 200);
}

fn login_path(path: &str) -> Vec<u8> {
    format!("GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn bodies_that_break_off_or_lie_about_their_length_are_problems() {
    let server = launch().ready().await;
    for (name, bytes) in [
        (
            "a chunk without a size",
            login("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk longer than told",
            login("transfer-encoding: chunked\r\n", "1\r\n{}\r\n0\r\n\r\n"),
        ),
        ("a size beyond all", login("transfer-encoding: chunked\r\n", "fffffffffffffffff\r\n{}")),
        ("a length shorter than the body", login("content-length: 1\r\n", "{}")),
    ] {
        let answer = raw(server.address(), &bytes).await;
        assert_raw_problem(&answer, 400, "bad_request", name);
    }
    let megabyte = " ".repeat(1024 * 1024);
    let chunks = format!("100000\r\n{megabyte}\r\n0\r\n\r\n");
    for (name, bytes) in [
        ("a length beyond the limit", login("content-length: 999999999999\r\n", "{}")),
        ("a megabyte", login("content-length: 1048576\r\n", &megabyte)),
        ("a megabyte in chunks", login("transfer-encoding: chunked\r\n", &chunks)),
    ] {
        let answer = raw(server.address(), &bytes).await;
        assert_raw_problem(&answer, 413, "body_too_large", name);
        assert!(answer.text.contains("\r\nconnection: close\r\n"), "{name}: {answer:?}");
    }
}

#[track_caller]
fn assert_raw_problem(answer: &RawAnswer, status: u16, code: &str, what: &str) {
    assert_eq!((answer.status(), answer.count()), (Some(status), 1), "{what}: {answer:?}");
    let body: Value = serde_json::from_str(answer.body()).expect("a problem");
    assert_eq!(body["code"], code, "{what}");
}

#[tokio::test]
async fn a_flood_of_headers_is_a_problem() {
    let server = launch().ready().await;
    let mut client = server.client();
    for path in ["/api/v1/session", "/health", "/nowhere"] {
        let mut request = client.request(Method::GET, path);
        for _ in 0..101 {
            request = request.header("x-flood", "1");
        }
        assert_problem(&request.send().await, 431, "headers_too_large");

        let request = client.request(Method::GET, path).header("x-flood", "x".repeat(40_000));
        assert_problem(&request.send().await, 431, "headers_too_large");
    }
    let mut request = client.request(Method::GET, "/health/live");
    for _ in 0..90 {
        request = request.header("x-flood", "x".repeat(200));
    }
    assert_eq!(request.send().await.status, 200, "what is within the limits is served");
}

#[tokio::test]
async fn odd_values_of_headers_that_we_read_are_never_our_fault() {
    let server = launch().set("TRUSTED_PROXIES", "127.0.0.0/8").ready().await;
    let mut client = server.client();
    let odd: [&[u8]; 6] = [b"", b"\xff\xfe", b"a=b; c", b";;;===", &[b'a'; 5000], b"\xc3\xa4"];
    for name in [
        "cookie",
        "origin",
        "sec-fetch-site",
        "x-csrf-token",
        "x-forwarded-for",
        "x-request-id",
        "user-agent",
        "accept",
        "if-none-match",
        "range",
        "expect",
    ] {
        for value in odd {
            for (method, path) in [
                (Method::GET, "/api/v1/session"),
                (Method::POST, "/api/v1/auth/logout"),
                (Method::POST, "/api/v1/auth/login"),
                (Method::DELETE, "/api/v1/sessions"),
                (Method::GET, "/auth/login"),
                (Method::GET, "/"),
            ] {
                let answer = client.request(method, path).header(name, value).send().await;
                assert!(answer.status < 500, "{name}: {value:?} to {path}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn paths_and_queries_that_cannot_be_decoded_are_problems() {
    let server = launch().ready().await;
    let mut person = crate::person::Person::logged_in(&server, "chien").await;
    for (path, status) in [
        ("/api/v1/sessions/%ff", 404),
        ("/api/v1/sessions/%", 404),
        ("/api/v1/sessions/%zz", 404),
        ("/api/v1/sessions/%00", 404),
        ("/api/v1/sessions/%2e%2e%2f", 404),
        ("/api/v1/sessions?current=%ff", 400),
        ("/api/v1/sessions?current=true&current", 400),
        ("/%ff", 404),
        ("//evil.example/%2e%2e", 404),
    ] {
        let answer = person.revoke(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        crate::problem::assert_is_problem(&answer);
    }
    for path in ["/auth/login?next=%ff", "/auth/login?next=a&next=b", "/auth/login?%"] {
        assert_eq!(server.client().get(path).await.status, 200, "{path}");
    }
    assert_eq!(person.session().await.status, 200);
}
