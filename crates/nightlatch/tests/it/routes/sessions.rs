//! GET and DELETE /api/v1/sessions, DELETE /api/v1/sessions/{id}, GET /api/v1/session

use nightlatch_testkit::hyper::Method;

use crate::person::{Person, SESSION};
use crate::problem::assert_problem;
use crate::record::{Record, launch, on_each_record};

on_each_record!(somebody_elses_session_is_not_found_and_stays);

async fn somebody_elses_session_is_not_found_and_stays(record: Record) {
    let stand = record.serve().await;
    let mut alan = Person::logged_in(&stand.server, "alan").await;
    let mut mallory = Person::logged_in(&stand.server, "mallory").await;
    let foreign = alan.session_id().await;
    let never = "00000000-0000-7000-8000-000000000000";
    let mut bodies = Vec::new();
    for id in [foreign.as_str(), never, "1", "..", "%00", "a%2Fb"] {
        let answer = mallory.revoke(&format!("/api/v1/sessions/{id}")).await;
        let mut body = assert_problem(&answer, 404, "not_found");
        body["request_id"] = "".into();
        bodies.push(body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "foreign, unknown and impossible ids are told alike");
    assert_eq!(alan.session().await.status, 200);
    assert_eq!(mallory.revoke("/api/v1/sessions").await.status, 200);
    assert_eq!(alan.session().await.status, 200);
    assert_eq!(alan.devices().await.len(), 1);
}

#[tokio::test]
async fn ending_the_own_session_by_its_id_clears_the_cookie() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "hedy").await;
    let id = person.session_id().await;
    let answer = person.revoke(&format!("/api/v1/sessions/{id}")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.set_cookie(SESSION).is_some_and(|cookie| cookie.is_removal()));
    assert_problem(&person.session().await, 401, "no_session");
}

#[tokio::test]
async fn a_query_that_cannot_be_read_ends_nothing() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "mary").await;
    let mut there = person.on_another_device(&server).await;
    for query in ["current=maybe", "current=", "current=1", "current=true&current=true"] {
        let answer = person.revoke(&format!("/api/v1/sessions?{query}")).await;
        assert_problem(&answer, 400, "bad_request");
    }
    assert_eq!(there.session().await.status, 200);
    assert_eq!(person.session().await.status, 200);
}

#[tokio::test]
async fn without_a_session_nothing_is_shown_or_ended() {
    let server = launch().ready().await;
    let mut client = server.client();
    for (method, path) in [
        (Method::GET, "/api/v1/session"),
        (Method::GET, "/api/v1/sessions"),
        (Method::DELETE, "/api/v1/sessions"),
        (Method::DELETE, "/api/v1/sessions?current=true"),
        (Method::DELETE, "/api/v1/sessions/00000000-0000-7000-8000-000000000000"),
    ] {
        let answer = client.request(method, path).send().await;
        assert_problem(&answer, 401, "no_session");
        assert!(answer.cookies().is_empty(), "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"nightlatch\""));
    }
}
