//! POST /api/v1/auth/register

use nightlatch_testkit::hyper::Method;
use serde_json::{Value, json};

use crate::person::{PASSWORD, Person};
use crate::problem::{assert_problem, blamed};
use crate::record::{Record, launch, on_each_record};
use crate::shape::shape;

on_each_record!(names_and_emails_are_taken_when_their_folded_form_is);

const REGISTER: &str = "/api/v1/auth/register";

async fn names_and_emails_are_taken_when_their_folded_form_is(record: Record) {
    let stand = record.serve().await;
    let mut client = stand.server.client();
    let register =
        |name: &str, email: &str| json!({ "username": name, "email": email, "password": PASSWORD });
    let first = client.post_json(REGISTER, &register("Straße", "Someone@Example.org")).await;
    assert_eq!(first.status, 201, "{}", first.text());
    // Case, composition, full-width forms and surrounding blanks are no difference.
    for name in ["straße", "STRAßE", "Ｓtraße", "  Straße\t"] {
        let answer = client.post_json(REGISTER, &register(name, "other@example.org")).await;
        let body = assert_problem(&answer, 409, "username_taken");
        assert_eq!(blamed(&body), ["username"], "{name}");
    }
    for email in ["someone@example.org", "SOMEONE@EXAMPLE.ORG", " Someone@example.org "] {
        let answer = client.post_json(REGISTER, &register("other", email)).await;
        let body = assert_problem(&answer, 409, "email_taken");
        assert_eq!(blamed(&body), ["email"], "{email}");
    }
}

#[tokio::test]
async fn a_registration_may_leave_out_email_and_name_and_bring_unknown_members() {
    let server = launch().ready().await;
    let body = json!({ "username": " nobody-else ", "password": PASSWORD, "groups": ["admins"],
        "email_verified": true, "id": "1" });
    let answer = server.client().post_json(REGISTER, &body).await;
    let user = json!({ "id": "<id>", "username": "nobody-else", "email": null,
        "email_verified": false, "name": "", "groups": [] });
    assert_eq!((answer.status, shape(&answer.json())), (201, json!({ "user": user })));
}

#[tokio::test]
async fn fields_that_break_a_rule_are_all_named_at_once() {
    let server = launch().ready().await;
    let mut client = server.client();
    let body = json!({ "username": "a b", "email": "no address", "name": "a\u{7}b" });
    let answer = client.post_json(REGISTER, &body).await;
    let body = assert_problem(&answer, 422, "invalid_field");
    assert_eq!(blamed(&body), ["username", "email", "name", "password"]);
    let expected = json!({
        "type": "/docs/errors#invalid_field", "title": "Invalid field", "status": 422,
        "detail": "At least one field breaks a rule.", "code": "invalid_field",
        "request_id": "<request id>",
        "errors": [
            { "field": "username",
              "message": "a user name has letters, digits and marks only, without blanks" },
            { "field": "email", "message": "this is not an e-mail address" },
            { "field": "name", "message": "a name has no control characters" },
            { "field": "password", "message": "is required" },
        ],
    });
    assert_eq!(shape(&body), expected);
}

#[tokio::test]
async fn names_that_nobody_may_have_are_refused() {
    let server = launch().ready().await;
    let mut client = server.client();
    let names = [
        "",
        " ",
        "admin",
        "Admin",
        "ＡＤＭＩＮ",
        "root",
        "a@b",
        "a＠b",
        "a b",
        "a\u{200b}b",
        "a\u{0}b",
        "a\nb",
        "a\u{202e}b",
        "🦀",
        &"a".repeat(65),
    ];
    for name in names {
        let body = json!({ "username": name, "password": PASSWORD });
        let answer = client.post_json(REGISTER, &body).await;
        let body = assert_problem(&answer, 422, "invalid_field");
        assert_eq!(blamed(&body), ["username"], "{name:?}");
    }
    let longest = json!({ "username": "ä".repeat(64), "password": PASSWORD });
    assert_eq!(client.post_json(REGISTER, &longest).await.status, 201);
}

#[tokio::test]
async fn weak_passwords_are_refused_with_the_reason() {
    let server = launch().ready().await;
    let mut client = server.client();
    let weak = [
        "short7!",
        "password",
        "12345678",
        "qwertyuiop",
        "margaret1",
        "Margaret-Hamilton",
        "nightlatch",
        "aaaaaaaaaaaa",
    ];
    for password in weak {
        let body = json!({ "username": "margaret", "name": "Margaret Hamilton",
            "password": password });
        let answer = client.post_json(REGISTER, &body).await;
        assert_eq!(answer.code(), "weak_password", "{password}");
        let body = assert_problem(&answer, 422, "weak_password");
        assert_eq!(blamed(&body), ["password"], "{password}");
    }
    for (password, status) in [(1024, 201), (1025, 422)] {
        let password = &"violet anchor, parade 47! ".repeat(40)[..password];
        let body = json!({ "username": "margaret", "password": password });
        assert_eq!(client.post_json(REGISTER, &body).await.status, status);
    }
}

#[tokio::test]
async fn a_closed_registration_lets_nobody_in() {
    let server = launch().set("REGISTRATION", "closed").ready().await;
    let body = json!({ "username": "eve", "password": PASSWORD });
    let mut client = server.client();
    let answer = client.post_json(REGISTER, &body).await;
    assert_problem(&answer, 403, "registration_closed");
    let mut eve = Person::new(&server, "eve");
    assert_problem(&eve.try_password(PASSWORD).await, 401, "invalid_credentials");
}

#[tokio::test]
async fn wrong_types_and_doubled_members_are_refused_without_repeating_them() {
    let server = launch().ready().await;
    let mut client = server.client();
    for (field, value) in [
        ("username", json!(12_345_678)),
        ("password", json!(["hunter2-hunter2"])),
        ("password", json!({ "hunter2-hunter2": true })),
        ("email", json!(true)),
        ("name", json!(1.5)),
    ] {
        let mut body = json!({ "username": "eve", "password": PASSWORD });
        body[field] = value.clone();
        let answer = client.post_json(REGISTER, &body).await;
        let problem = assert_problem(&answer, 422, "invalid_field");
        assert_eq!(blamed(&problem), [field]);
        let text = answer.text();
        assert!(!text.contains("hunter2") && !text.contains("12345678"), "{text}");
    }
    let doubled = [
        format!(r#"{{"username":"eve","password":"{PASSWORD}","password":"{PASSWORD}"}}"#),
        format!(r#"{{"username":"eve","user\u006eame":"eve","password":"{PASSWORD}"}}"#),
        format!(r#"{{"username":"eve","password":"{PASSWORD}","x":1,"x":1}}"#),
    ];
    for body in doubled {
        let request = client.request(Method::POST, REGISTER);
        let answer = request.body("application/json", body).send().await;
        let problem: Value = assert_problem(&answer, 400, "bad_request");
        assert!(!problem.to_string().contains(PASSWORD), "{problem}");
    }
}
