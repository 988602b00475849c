//! POST /api/v1/auth/password

use nightlatch_testkit::hyper::Method;
use serde_json::json;

use crate::person::{PASSWORD, Person, SESSION};
use crate::problem::{assert_problem, blamed};
use crate::record::launch;

const NEXT: &str = "copper-lantern-meadow-58";

#[tokio::test]
async fn a_wrong_current_password_is_blamed_and_throttled_like_a_login() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "adele").await;
    for _ in 0..5 {
        let answer = person.change_password("wrong", NEXT).await;
        let body = assert_problem(&answer, 403, "wrong_password");
        assert_eq!(blamed(&body), ["current_password"]);
    }
    assert_problem(&person.change_password(PASSWORD, NEXT).await, 429, "throttled");
    assert_eq!(person.session().await.status, 200, "the session goes on");
}

#[tokio::test]
async fn a_weak_new_password_changes_nothing() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "annie").await;
    let token = person.token();
    for weak in ["short", "password123", "annieannie"] {
        let answer = person.change_password(PASSWORD, weak).await;
        let body = assert_problem(&answer, 422, "weak_password");
        assert_eq!(blamed(&body), ["new_password"], "{weak}");
    }
    assert_eq!(person.session().await.status, 200);
    assert_eq!(person.token(), token);
}

#[tokio::test]
async fn both_passwords_are_needed() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "evelyn").await;
    for (body, fields) in [
        (json!({}), &["current_password", "new_password"][..]),
        (json!({ "current_password": PASSWORD }), &["new_password"]),
        (json!({ "new_password": NEXT }), &["current_password"]),
        (json!({ "current_password": PASSWORD, "new_password": 1 }), &["new_password"]),
        (
            json!({ "current_password": PASSWORD, "new_password": "x".repeat(1025) }),
            &["new_password"],
        ),
    ] {
        let request = person.client.request(Method::POST, "/api/v1/auth/password");
        let answer = request.header("x-csrf-token", &person.csrf).json(&body).send().await;
        let problem = assert_problem(&answer, 422, "invalid_field");
        assert_eq!(blamed(&problem), fields, "{body}");
    }
}

#[tokio::test]
async fn a_remembered_session_is_followed_by_a_remembered_one() {
    let server = launch().ready().await;
    let mut person = Person::registered(&server, "jean").await;
    let body = json!({ "username": "jean", "password": PASSWORD, "remember": true });
    let answer = person.client.post_json("/api/v1/auth/login", &body).await;
    person.csrf = answer.json()["csrf_token"].as_str().expect("a token").to_owned();
    let answer = person.change_password(PASSWORD, NEXT).await;
    let cookie = answer.set_cookie(SESSION).expect("a new cookie");
    assert!(cookie.attributes.contains(&"Max-Age=2592000".to_owned()), "{cookie:?}");
}

#[tokio::test]
async fn without_a_session_there_is_no_change() {
    let server = launch().ready().await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEXT });
    let answer = server.client().post_json("/api/v1/auth/password", &body).await;
    assert_problem(&answer, 401, "no_session");
}
