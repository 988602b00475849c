//! POST /api/v1/auth/login

use serde_json::json;

use crate::person::{DEVICE, PASSWORD, Person, SESSION};
use crate::problem::{assert_problem, blamed};
use crate::record::{Record, launch, on_each_record};

on_each_record!(
    either_field_may_hold_name_or_email_however_it_is_typed,
    a_login_ends_the_session_that_comes_with_it_and_no_other,
);

const LOGIN: &str = "/api/v1/auth/login";

async fn either_field_may_hold_name_or_email_however_it_is_typed(record: Record) {
    let stand = record.serve().await;
    let mut client = stand.server.client();
    let user = json!({ "username": "Zoë", "email": "Zoe@Example.org", "password": PASSWORD });
    assert_eq!(client.post_json("/api/v1/auth/register", &user).await.status, 201);
    let names = ["Zoë", "zoë", "ZOË", " zoe\u{308} ", "zoe@example.org", "ZOE@example.ORG"];
    for name in names {
        for field in ["username", "email"] {
            let body = json!({ field: name, "password": PASSWORD });
            let answer = client.post_json(LOGIN, &body).await;
            assert_eq!(answer.status, 200, "{field} {name:?}: {}", answer.text());
            assert_eq!(answer.json()["user"]["username"], "Zoë");
        }
    }
    let unknown = json!({ "username": "zoe", "password": PASSWORD });
    assert_problem(&client.post_json(LOGIN, &unknown).await, 401, "invalid_credentials");
}

async fn a_login_ends_the_session_that_comes_with_it_and_no_other(record: Record) {
    let stand = record.serve().await;
    let mut here = Person::logged_in(&stand.server, "tony").await;
    let mut there = here.on_another_device(&stand.server).await;
    let mut before = Person::new(&stand.server, "tony");
    before.client.set_cookie(SESSION, &here.token());
    assert_eq!(before.session().await.status, 200);
    here.log_in().await;
    assert_problem(&before.session().await, 401, "no_session");
    assert_eq!(there.session().await.status, 200);
    assert_eq!(here.devices().await.len(), 2);

    // A failed login ends nothing.
    assert_problem(&here.try_password("wrong").await, 401, "invalid_credentials");
    assert_eq!(here.session().await.status, 200);

    // Somebody else's session that comes with it ends too: the browser is in other hands.
    let mut other = Person::registered(&stand.server, "kristen").await;
    other.client.set_cookie(SESSION, &there.token());
    other.log_in().await;
    assert_problem(&there.session().await, 401, "no_session");
}

#[tokio::test]
async fn a_failed_login_says_nothing_and_sets_nothing() {
    let server = launch().ready().await;
    let mut person = Person::registered(&server, "ken").await;
    let answer = person.try_password("not the password").await;
    let body = assert_problem(&answer, 401, "invalid_credentials");
    assert_eq!(body["errors"], json!(null), "no field is blamed");
    assert!(answer.cookies().is_empty());
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"nightlatch\""));
}

#[tokio::test]
async fn passwords_are_verified_as_typed_then_as_nfc_and_never_folded() {
    let server = launch().ready().await;
    let mut person = Person::new(&server, "rené");
    let composed = "caf\u{e9}-anchor-parade-47";
    let body = json!({ "username": "rené", "password": composed });
    let answer = person.client.post_json("/api/v1/auth/register", &body).await;
    assert_eq!(answer.status, 201);
    for (typed, status) in [
        (composed, 200),
        ("cafe\u{301}-anchor-parade-47", 200),
        ("CAF\u{c9}-anchor-parade-47", 401),
        (" caf\u{e9}-anchor-parade-47", 401),
        ("caf\u{e9}-anchor-parade-47 ", 401),
    ] {
        assert_eq!(person.try_password(typed).await.status, status, "{typed:?}");
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let server = launch().ready().await;
    let mut client = server.client();
    for (body, fields) in [
        (json!({}), &["username", "password"][..]),
        (json!({ "username": "ann" }), &["password"]),
        (json!({ "username": null, "password": null }), &["username", "password"]),
        (json!({ "username": "ann", "password": "" }), &["password"]),
        (json!({ "username": "  ", "password": "x" }), &["username"]),
        (json!({ "username": "ann", "password": "x".repeat(1025) }), &["password"]),
        (json!({ "username": "ann", "password": "x", "remember": "yes" }), &["remember"]),
    ] {
        let answer = client.post_json(LOGIN, &body).await;
        let problem = assert_problem(&answer, 422, "invalid_field");
        assert_eq!(blamed(&problem), fields, "{body}");
    }
}

#[tokio::test]
async fn the_device_list_tells_browsers_in_words() {
    let server = launch().ready().await;
    let mut person = Person::registered(&server, "linus").await;
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    person.client = server.client().with_header("user-agent", firefox);
    person.log_in().await;
    assert_eq!(person.devices().await[0]["user_agent"], "Firefox on Linux");
    assert_eq!(person.devices().await[0]["address"], "127.0.0.1");
}

#[tokio::test]
async fn the_address_is_believed_only_of_trusted_proxies() {
    for (proxies, expected) in [("", "127.0.0.1"), ("127.0.0.0/8", "203.0.113.9")] {
        let launch = launch();
        let launch =
            if proxies.is_empty() { launch } else { launch.set("TRUSTED_PROXIES", proxies) };
        let server = launch.ready().await;
        let mut person = Person::registered(&server, "niklaus").await;
        person.client = server.client().with_header("x-forwarded-for", "6.6.6.6, 203.0.113.9");
        person.log_in().await;
        assert_eq!(person.devices().await[0]["address"], expected);
    }
}

#[tokio::test]
async fn the_device_cookie_stays_with_the_browser() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "radia").await;
    let device = person.client.cookie(DEVICE).expect("a login sets it").to_owned();
    person.log_out().await;
    assert_eq!(person.client.cookie(DEVICE), Some(device.as_str()), "a logout leaves it");
    person.log_in().await;
    assert_eq!(person.client.cookie(DEVICE), Some(device.as_str()), "it is the same device");
}
