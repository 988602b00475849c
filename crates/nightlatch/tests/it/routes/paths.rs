//! Paths and methods: with and without a trailing slash, unknown ones, HEAD and OPTIONS.

use nightlatch_testkit::hyper::Method;
use serde_json::json;

use crate::person::{PASSWORD, Person};
use crate::problem::assert_problem;
use crate::record::launch;

#[tokio::test]
async fn paths_work_with_and_without_a_trailing_slash_and_without_a_redirect() {
    let server = launch().ready().await;
    let mut client = server.client();
    let body = json!({ "username": "bjarne", "password": PASSWORD });
    assert_eq!(client.post_json("/api/v1/auth/register/", &body).await.status, 201);
    let answer = client.post_json("/api/v1/auth/login/", &body).await;
    assert_eq!(answer.status, 200);
    let csrf = answer.json()["csrf_token"].as_str().expect("a token").to_owned();
    let id = answer.json()["session"]["id"].as_str().expect("an id").to_owned();
    for path in ["/api/v1/session/", "/api/v1/sessions/", "/health/", "/health/live/"] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    let path = format!("/api/v1/sessions/{id}/");
    let request = client.request(Method::DELETE, &path).header("x-csrf-token", csrf);
    assert_eq!(request.send().await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_of_its_own() {
    let server = launch().ready().await;
    let mut client = server.client();
    for path in [
        "/nowhere",
        "/api",
        "/api/v2/session",
        "/api/v1/auth",
        "/API/v1/session",
        "/api/v1/auth/login/x",
        "/api/v1/../v1/nothing",
        "/.env",
        "/api/v1/session%2F",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = client.request(method.clone(), path).send().await;
            assert_problem(&answer, 404, "not_found");
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_with_those_that_are_right() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "james").await;
    for (method, path, allowed) in [
        (Method::GET, "/api/v1/auth/login", "POST"),
        (Method::GET, "/api/v1/auth/logout", "POST"),
        (Method::PUT, "/api/v1/auth/register", "POST"),
        (Method::DELETE, "/api/v1/auth/password", "POST"),
        (Method::POST, "/api/v1/session", "GET"),
        (Method::PATCH, "/api/v1/sessions", "GET"),
        (Method::POST, "/health", "GET"),
    ] {
        let answer = person.client.request(method, path).send().await;
        assert_problem(&answer, 405, "method_not_allowed");
        let allow = answer.header("allow").unwrap_or_default();
        assert!(allow.contains(allowed), "{path} allows {allow:?}");
    }
    assert_eq!(person.session().await.status, 200, "GET on logout ended nothing");
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "alfred").await;
    for path in ["/api/v1/session", "/api/v1/sessions", "/health", "/health/live"] {
        let answer = person.client.request(Method::HEAD, path).send().await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        assert!(answer.header("content-type").is_some(), "{path}");
    }
    let answer = server.client().request(Method::HEAD, "/api/v1/session").send().await;
    assert_eq!((answer.status, answer.body.len()), (401, 0));
}
