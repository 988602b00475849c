//! The whole journey of a person by JSON: what the product is for.

use nightlatch_testkit::hyper::Method;
use serde_json::json;

use crate::person::{PASSWORD, Person, SESSION};
use crate::problem::assert_problem;
use crate::record::{Record, on_each_record};
use crate::shape::shape;

on_each_record!(
    a_person_registers_and_stays_logged_in_until_the_logout,
    devices_are_listed_and_revoked_one_by_one_all_others_and_everywhere,
    a_password_change_ends_every_session_and_brings_a_new_one,
    a_session_survives_a_stop_of_the_server,
);

const NEXT_PASSWORD: &str = "copper-lantern-meadow-58";

async fn a_person_registers_and_stays_logged_in_until_the_logout(record: Record) {
    let stand = record.serve().await;
    let mut person = Person::new(&stand.server, "Ada");
    let registration = json!({
        "username": "Ada", "email": "Ada@example.org", "name": "Ada L.", "password": PASSWORD,
    });
    let answer = person.client.post_json("/api/v1/auth/register", &registration).await;
    let user = json!({
        "id": "<id>", "username": "Ada", "email": "Ada@example.org", "email_verified": false,
        "name": "Ada L.", "groups": [],
    });
    assert_eq!((answer.status, shape(&answer.json())), (201, json!({ "user": user })));
    assert!(answer.cookies().is_empty(), "a registration does not log in");

    let answer = person.log_in().await;
    let session = json!({
        "id": "<id>", "created_at": "<time>", "last_seen_at": "<time>", "expires_at": "<time>",
        "address": "127.0.0.1", "user_agent": "Unknown client", "current": true,
    });
    let expected =
        json!({ "user": user, "session": session, "csrf_token": "<token>", "degraded": [] });
    assert_eq!(shape(&answer.json()), expected);
    let login = answer.json();

    for _reload in 0..2 {
        let answer = person.session().await;
        let expected = json!({ "user": user, "session": session, "csrf_token": "<token>" });
        assert_eq!((answer.status, shape(&answer.json())), (200, expected));
        let again = answer.json();
        assert_eq!(again["user"]["id"], login["user"]["id"]);
        assert_eq!(again["session"]["id"], login["session"]["id"]);
        assert_eq!(again["csrf_token"], login["csrf_token"]);
    }

    let token = person.token();
    let answer = person.log_out().await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "revoked": true, "within_s": 0 })));
    assert_eq!(person.client.cookie(SESSION), None, "the cookie is cleared");
    assert_problem(&person.session().await, 401, "no_session");

    person.client.set_cookie(SESSION, &token);
    assert_problem(&person.session().await, 401, "no_session");
    assert_problem(&person.log_out().await, 401, "no_session");
}

async fn devices_are_listed_and_revoked_one_by_one_all_others_and_everywhere(record: Record) {
    let stand = record.serve().await;
    let mut first = Person::logged_in(&stand.server, "grace").await;
    let mut second = first.on_another_device(&stand.server).await;
    let mut third = first.on_another_device(&stand.server).await;
    let ids = [third.session_id().await, second.session_id().await, first.session_id().await];

    let devices = first.devices().await;
    let listed: Vec<&str> = devices.iter().filter_map(|device| device["id"].as_str()).collect();
    assert_eq!(listed, ids, "newest first");
    let current: Vec<bool> =
        devices.iter().filter_map(|device| device["current"].as_bool()).collect();
    assert_eq!(current, [false, false, true]);

    let revoked = json!({ "revoked": true, "within_s": 0 });
    let answer = first.revoke(&format!("/api/v1/sessions/{}", ids[1])).await;
    assert_eq!((answer.status, answer.json()), (200, revoked.clone()));
    assert!(answer.cookies().is_empty(), "one's own cookie stays");
    assert_problem(&second.session().await, 401, "no_session");
    assert_eq!(third.session().await.status, 200);
    let again = first.revoke(&format!("/api/v1/sessions/{}", ids[1])).await;
    assert_problem(&again, 404, "not_found");

    let answer = first.revoke("/api/v1/sessions").await;
    assert_eq!((answer.status, answer.json()), (200, revoked.clone()));
    assert_problem(&third.session().await, 401, "no_session");
    assert_eq!(first.devices().await.len(), 1);

    let mut fourth = first.on_another_device(&stand.server).await;
    let answer = first.revoke("/api/v1/sessions?current=true").await;
    assert_eq!((answer.status, answer.json()), (200, revoked));
    assert_eq!(first.client.cookie(SESSION), None, "the cookie is cleared");
    assert_problem(&fourth.session().await, 401, "no_session");
}

async fn a_password_change_ends_every_session_and_brings_a_new_one(record: Record) {
    let stand = record.serve().await;
    let mut here = Person::logged_in(&stand.server, "edsger").await;
    let mut there = here.on_another_device(&stand.server).await;
    let mut stale = Person::new(&stand.server, "edsger");
    stale.client.set_cookie(SESSION, &here.token());

    let answer = here.change_password("not my password", NEXT_PASSWORD).await;
    assert_problem(&answer, 403, "wrong_password");
    assert_eq!(there.session().await.status, 200, "a wrong password changes nothing");

    let answer = here.change_password(PASSWORD, NEXT_PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = here.session().await;
    assert_eq!(answer.status, 200, "the new cookie works");
    assert_eq!(answer.json()["csrf_token"], here.csrf);
    assert_problem(&there.session().await, 401, "no_session");
    assert_problem(&stale.session().await, 401, "no_session");
    assert_eq!(here.devices().await.len(), 1);

    assert_problem(&there.try_password(PASSWORD).await, 401, "invalid_credentials");
    NEXT_PASSWORD.clone_into(&mut there.password);
    there.log_in().await;
    assert_eq!(here.log_out().await.status, 200);
}

async fn a_session_survives_a_stop_of_the_server(record: Record) {
    let mut stand = record.serve().await;
    let mut person = Person::logged_in(&stand.server, "barbara").await;
    let mut gone = person.on_another_device(&stand.server).await;
    assert_eq!(gone.log_out().await.status, 200);

    assert_eq!(stand.server.terminate(), Some(0));
    stand.server.start_again();
    stand.server.wait_until_ready().await;
    person.client.move_to(stand.server.address());
    assert_eq!(person.session().await.status, 200, "the secrets were kept");
    assert_eq!(person.devices().await.len(), 1, "the logout was kept");
    let answer = person.client.request(Method::POST, "/api/v1/auth/logout").send().await;
    assert_problem(&answer, 403, "csrf_failed");
    assert_eq!(person.log_out().await.status, 200, "the token against CSRF was kept");
}
