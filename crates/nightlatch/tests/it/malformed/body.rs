//! Bodies that are not what an endpoint takes.

use nightlatch_testkit::client::Answer;
use nightlatch_testkit::hyper::Method;
use serde_json::json;

use crate::person::{PASSWORD, Person};
use crate::problem::{assert_is_problem, assert_problem};
use crate::record::{Record, launch, on_each_record};

on_each_record!(text_that_no_database_takes_is_a_wrong_name_or_password);

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// A body, with the status and code that an endpoint for JSON must answer it with.
type Case = (&'static str, &'static str, Vec<u8>, u16, &'static str);

/// What is no JSON object that we take.
fn bodies_that_are_not_json() -> Vec<Case> {
    let bad = |name, body: &[u8]| (name, JSON, body.to_vec(), 400, "bad_request");
    let nested = |open: &str, close: &str| {
        format!("{{\"x\":{}1{}}}", open.repeat(1000), close.repeat(1000)).into_bytes()
    };
    let long = |length: usize| {
        let frame = br#"{"username":""}"#.len();
        format!(r#"{{"username":"{}"}}"#, "a".repeat(length - frame)).into_bytes()
    };
    let wrong_type = |name, media| (name, media, b"{}".to_vec(), 415, "wrong_content_type");
    vec![
        bad("nothing", b""),
        bad("a blank", b" "),
        bad("a word", b"hello"),
        bad("half an object", br#"{"username":"a""#),
        bad("half a string", br#"{"username":"a"#),
        bad("an object and more", b"{} {}"),
        bad("a trailing comma", br#"{"username":"a",}"#),
        bad("single quotes", b"{'username':'a'}"),
        bad("a comment", b"{/* */}"),
        bad("a byte order mark", b"\xef\xbb\xbf{}"),
        bad("an array", b"[]"),
        bad("an array of objects", br#"[{"username":"a"}]"#),
        bad("null", b"null"),
        bad("true", b"true"),
        bad("a number", b"1"),
        bad("a string", br#""username""#),
        bad("not a number", br#"{"x":NaN}"#),
        bad("a number beyond all", br#"{"x":1e999}"#),
        bad("a doubled member", br#"{"x":1,"x":2}"#),
        bad("no UTF-8", b"{\"username\":\"\xff\xfe\"}"),
        bad("UTF-16", b"{\0}\0"),
        bad("a NUL in a string", b"{\"username\":\"a\0b\"}"),
        bad("a line break in a string", b"{\"username\":\"a\nb\"}"),
        bad("a lone surrogate", br#"{"username":"\ud800"}"#),
        bad("surrogates the wrong way round", br#"{"username":"\udc00\ud800"}"#),
        bad("an escape that is none", br#"{"username":"\x41"}"#),
        ("arrays in arrays", JSON, nested("[", "]"), 400, "bad_request"),
        ("objects in objects", JSON, nested("{\"x\":", "}"), 400, "bad_request"),
        ("a byte too much", JSON, long(64 * 1024 + 1), 413, "body_too_large"),
        wrong_type("text", "text/plain"),
        wrong_type("a form", FORM),
        wrong_type("XML", "application/xml"),
        wrong_type("a kind of JSON", "application/problem+json"),
        wrong_type("half a media type", "application"),
        wrong_type("an empty media type", ""),
    ]
}

#[tokio::test]
async fn bodies_that_are_not_json_are_told_apart() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "grete").await;
    for path in ["/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/auth/password"] {
        for (name, media, body, status, code) in bodies_that_are_not_json() {
            let request = person.client.request(Method::POST, path);
            let request = request.header("x-csrf-token", &person.csrf).body(media, body);
            let answer = request.send().await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}: {name}");
            assert_is_problem(&answer);
        }
        let request = person.client.request(Method::POST, path);
        let answer = request.header("x-csrf-token", &person.csrf).send().await;
        assert_problem(&answer, 415, "wrong_content_type");
    }
    assert_eq!(person.session().await.status, 200);
}

#[tokio::test]
async fn fields_of_wrong_types_are_blamed_and_never_repeated() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "emmy").await;
    let wrong = [
        json!(4_242_424_242_u64),
        json!(4.242_424_242e300),
        json!(["4242424242"]),
        json!({ "4242424242": 4_242_424_242_u64 }),
        json!([[[["4242424242"]]]]),
    ];
    for (path, fields) in [
        ("/api/v1/auth/register", &["username", "email", "name", "password"][..]),
        ("/api/v1/auth/login", &["username", "email", "password", "remember"]),
        ("/api/v1/auth/password", &["current_password", "new_password"]),
    ] {
        for field in fields {
            for value in &wrong {
                let mut body = json!({ "username": "emmy", "password": PASSWORD,
                    "current_password": PASSWORD, "new_password": PASSWORD });
                body[*field] = value.clone();
                let request = person.client.request(Method::POST, path).json(&body);
                let answer = request.header("x-csrf-token", &person.csrf).send().await;
                let problem = assert_problem(&answer, 422, "invalid_field");
                assert_eq!(problem["errors"][0]["field"], *field, "{path}");
                assert!(!answer.text().contains("42424"), "{}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn bodies_where_none_is_taken_change_no_answer() {
    let server = launch().ready().await;
    let mut client = server.client();
    for (_, media, body, _, _) in bodies_that_are_not_json() {
        for (method, path) in [
            (Method::POST, "/api/v1/auth/logout"),
            (Method::GET, "/api/v1/session"),
            (Method::GET, "/api/v1/sessions"),
            (Method::DELETE, "/api/v1/sessions"),
            (Method::DELETE, "/api/v1/sessions/1"),
        ] {
            let request = client.request(method, path).body(media, body.clone());
            assert_problem(&request.send().await, 401, "no_session");
        }
        let answer = client.request(Method::POST, "/nowhere").body(media, body).send().await;
        assert_problem(&answer, 404, "not_found");
    }
}

async fn text_that_no_database_takes_is_a_wrong_name_or_password(record: Record) {
    let stand = record.serve_with(launch().set("DISABLE_THROTTLING", "true")).await;
    let mut person = Person::logged_in(&stand.server, "lise").await;
    for text in ["a\u{0}b", "\u{0}", "a\u{fffe}", "\u{feff}", "a@\u{0}", "' OR 1=1 --", "%", "_"] {
        for body in [
            json!({ "username": text, "password": PASSWORD }),
            json!({ "email": text, "password": PASSWORD }),
            json!({ "username": "lise", "password": text }),
        ] {
            let answer = stand.server.client().post_json("/api/v1/auth/login", &body).await;
            assert_problem(&answer, 401, "invalid_credentials");
        }
        let answer = person.change_password(text, "copper-lantern-meadow-58").await;
        assert_problem(&answer, 403, "wrong_password");
    }
    for field in ["username", "email", "name"] {
        let mut body = json!({ "username": "otto", "password": PASSWORD });
        body[field] = "a\u{0}b@example.org".into();
        let answer = stand.server.client().post_json("/api/v1/auth/register", &body).await;
        assert_problem(&answer, 422, "invalid_field");
    }
}

#[tokio::test]
async fn forms_that_cannot_be_read_get_a_page_that_says_so() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "rosalind").await;
    let mut stranger = server.client();
    let cases: [(&str, &str, Vec<u8>, &[u16]); 9] = [
        ("JSON", JSON, b"{}".to_vec(), &[415]),
        ("many parts", "multipart/form-data; boundary=x", b"--x--".to_vec(), &[415]),
        ("no type", "", b"a=b".to_vec(), &[415]),
        ("nothing", FORM, Vec::new(), &[403]),
        ("broken escapes", FORM, b"username=%zz&password=%".to_vec(), &[403]),
        ("no UTF-8", FORM, b"csrf_token=%ff%fe&username=\xff".to_vec(), &[403]),
        ("a doubled field", FORM, b"csrf_token=a&csrf_token=b".to_vec(), &[400]),
        ("a wrong token", FORM, b"csrf_token=a&username=b&password=c".to_vec(), &[403]),
        ("too much", FORM, format!("username={}", "a".repeat(64 * 1024)).into_bytes(), &[413]),
    ];
    for (name, media, body, statuses) in cases {
        for path in ["/auth/login", "/auth/register"] {
            let request = stranger.request(Method::POST, path).body(media, body.clone());
            assert_page(&request.send().await, statuses, &format!("{path}: {name}"));
        }
        for path in ["/auth/profile", "/auth/sessions", "/auth/logout"] {
            let request = person.client.request(Method::POST, path).body(media, body.clone());
            assert_page(&request.send().await, statuses, &format!("{path}: {name}"));
        }
    }
    assert_eq!(person.session().await.status, 200, "nothing of it happened");
}

#[track_caller]
fn assert_page(answer: &Answer, statuses: &[u16], what: &str) {
    assert!(statuses.contains(&answer.status), "{what}: {}", answer.status);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{what}");
    let text = answer.text();
    assert!(text.contains("<h1>") && text.trim_end().ends_with("</html>"), "{what}: {text}");
}
