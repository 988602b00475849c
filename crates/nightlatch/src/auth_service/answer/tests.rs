//! What answers are read as, case by case.
//!
//! Tables of bodies and statuses: each is one that some service gives.

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use nightlatch_core::AuthServiceFailure as Kind;

use super::*;
use crate::config::Config;

fn config() -> AuthServiceConfig {
    let values = [("AUTH_SERVICE_URL", "https://auth.example.com")];
    let loaded = Config::from_values(values).expect("nothing that is fatal");
    loaded.config.auth_service.expect("it is delegated")
}

fn raw(status: u16, headers: &[(HeaderName, &'static str)], body: &str) -> RawAnswer {
    let mut map = HeaderMap::new();
    map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    for (name, value) in headers {
        map.insert(name, HeaderValue::from_static(value));
    }
    let status = StatusCode::from_u16(status).expect("a status");
    RawAnswer { status, headers: map, body: body.to_owned().into() }
}

/// What a body says to `alice`: the subject, or how it fails.
fn says(body: &str) -> Result<Option<Person>, Kind> {
    match read(&raw(200, &[], body), &config(), "alice") {
        Ok(Vouched::For(person)) => Ok(Some(person)),
        Ok(Vouched::Refused) => Ok(None),
        Err(failure) => Err(failure.into_error(1, true).failure),
    }
}

/// `{"sub":"s-1","preferred_username":"alice"}`, unsigned.
const TOKEN: &str = "e30.eyJzdWIiOiJzLTEiLCJwcmVmZXJyZWRfdXNlcm5hbWUiOiJhbGljZSJ9.AA";

#[test]
fn the_user_is_found_where_services_put_it() {
    for (body, subject) in [
        (r#"{"id":42,"username":"alice"}"#.to_owned(), "42"),
        (r#"{"id":1,"user_id":"u-7"}"#.to_owned(), "u-7"),
        (r#"{"user":{"id":"9","username":"Alice"},"token":"opaque"}"#.to_owned(), "9"),
        (r#"{"id":"of the answer","user":{"id":9}}"#.to_owned(), "9"),
        (r#"{"success":true,"data":{"user":{"sub":"x"}}}"#.to_owned(), "x"),
        (r#"{"data":{"id":-3}}"#.to_owned(), "-3"),
        (format!(r#"{{"access":"{TOKEN}","refresh":"opaque"}}"#), "s-1"),
        (format!(r#"{{"data":{{"access_token":"{TOKEN}"}}}}"#), "s-1"),
        (r#"{"user":{"active":true},"user_id":5}"#.to_owned(), "5"),
        (r#"{"user_id":null,"id":18446744073709551615}"#.to_owned(), "18446744073709551615"),
    ] {
        let person = says(&body).expect(&body).expect("somebody");
        assert_eq!(person.subject.as_str(), subject, "{body}");
    }
}

#[test]
fn what_it_says_of_the_user_is_taken_over() {
    let body = r#"{"user":{"id":1,"username":"Alice","email":"a@example.com","email_verified":true,
        "name":"Alice A.","groups":["staff","ops"]}}"#;
    let person = says(body).expect("it makes sense").expect("somebody");
    assert_eq!(person.username.expect("a name").as_str(), "Alice");
    assert_eq!(person.email.expect("an address").as_str(), "a@example.com");
    assert_eq!(person.email_verified, Some(true));
    assert_eq!(person.name.expect("a name").into_string(), "Alice A.");
    assert_eq!(person.groups.expect("groups").as_slice(), ["ops", "staff"]);
    let bare = says(r#"{"id":1,"username":"","groups":null}"#).expect("it does").expect("somebody");
    assert!(bare.username.is_none() && bare.groups.is_none() && bare.email.is_none());
}

#[test]
fn who_may_not_log_in_is_refused() {
    for body in [
        r#"{"id":1,"enabled":false}"#,
        r#"{"user":{"id":1,"is_active":false}}"#,
        r#"{"id":1,"disabled":true}"#,
    ] {
        assert!(says(body).expect(body).is_none(), "{body}");
    }
}

#[test]
fn answers_that_make_no_sense_let_nobody_in() {
    let deep = format!(r#"{{"id":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
    for body in [
        "",
        "null",
        "[]",
        "\"alice\"",
        "{",
        "{}",
        r#"{"username":"alice"}"#,
        r#"{"id":""}"#,
        r#"{"id":1.5}"#,
        r#"{"id":true}"#,
        r#"{"id":{"a":1}}"#,
        r#"{"id":"a\nb"}"#,
        r#"{"id":1,"email":5}"#,
        r#"{"id":1,"groups":"staff"}"#,
        r#"{"id":1,"groups":["a,b"]}"#,
        r#"{"id":1,"groups":[1]}"#,
        r#"{"id":1,"enabled":"no"}"#,
        r#"{"id":1,"username":"bob"}"#,
        r#"{"id":1,"user":{"username":"bob"}}"#,
        r#"{"access":"e30.e30"}"#,
        // The id of a tenant, or of the answer, would be everybody's.
        r#"{"user_id":1,"user":{"username":"alice"}}"#,
        r#"{"id":1,"data":{"user":{"email":"alice@example.com"}}}"#,
        &format!(r#"{{"user":{{"username":"alice"}},"access_token":"{TOKEN}"}}"#),
        &deep,
        &format!(r#"{{"id":"{}"}}"#, "x".repeat(256)),
    ] {
        assert_eq!(says(body).expect_err(body), Kind::BadResponse, "{body}");
    }
}

#[test]
fn another_user_than_asked_for_is_told_by_a_name_of_the_same_kind() {
    for (asked, body, is_another) in [
        ("alice", r#"{"id":1,"email":"other@example.com"}"#, false),
        ("ALICE", r#"{"id":1,"username":"alice","email":"other@example.com"}"#, false),
        ("a@example.com", r#"{"id":1,"username":"alice","email":"A@example.com"}"#, false),
        ("a@example.com", r#"{"id":1,"username":"alice"}"#, false),
        ("a@example.com", r#"{"id":1,"username":"alice","email":"b@example.com"}"#, true),
        ("alice", r#"{"id":1,"username":"alicia"}"#, true),
    ] {
        let answer = read(&raw(200, &[], body), &config(), asked);
        assert_eq!(answer.is_err(), is_another, "{asked}: {body}");
    }
}

#[test]
fn each_status_is_a_failure_of_its_own() {
    const HTML: &[(HeaderName, &str)] = &[(CONTENT_TYPE, "text/html")];
    const ENCODED: &[(HeaderName, &str)] = &[(CONTENT_ENCODING, "gzip")];
    const SERVICE: &[(HeaderName, &str)] = &[(WWW_AUTHENTICATE, "Service realm=\"x\"")];
    let good = r#"{"id":1}"#;
    for (status, headers, body, kind) in [
        (200, HTML, "<html>", Some(Kind::BadResponse)),
        (200, ENCODED, good, Some(Kind::BadResponse)),
        (204, &[][..], "", Some(Kind::BadResponse)),
        (302, &[], "", Some(Kind::BadResponse)),
        (400, &[], "{}", Some(Kind::BadResponse)),
        (401, &[], "", None),
        (401, &[], r#"{"code":"bad_password"}"#, None),
        (401, HTML, "<html>", Some(Kind::BadResponse)),
        (401, SERVICE, "", Some(Kind::ServiceCredentials)),
        (401, &[], r#"{"error":"invalid_service_secret"}"#, Some(Kind::ServiceCredentials)),
        (
            401,
            &[],
            r#"{"code":"unauthorized","error":"invalid_service_id"}"#,
            Some(Kind::ServiceCredentials),
        ),
        (401, &[(CONTENT_TYPE, "text/plain")], "Jwt is missing", Some(Kind::BadResponse)),
        (403, &[], "", Some(Kind::ServiceCredentials)),
        (404, &[], "", Some(Kind::EndpointMissing)),
        (405, &[], "", Some(Kind::EndpointMissing)),
        (408, &[], "", Some(Kind::Throttled)),
        (422, &[], "", Some(Kind::BadResponse)),
        (429, &[], "", Some(Kind::Throttled)),
        (500, &[], "", Some(Kind::Error)),
        (502, &[], "", Some(Kind::Error)),
        (503, &[], "", Some(Kind::Unavailable)),
        (504, &[], "", Some(Kind::Error)),
        (599, &[], "", Some(Kind::Error)),
    ] {
        let answer = read(&raw(status, headers, body), &config(), "alice");
        let told = match answer {
            Ok(Vouched::Refused) => None,
            Ok(Vouched::For(person)) => panic!("{status}: {person:?}"),
            Err(failure) => Some(failure.into_error(1, true).failure),
        };
        assert_eq!(told, kind, "{status} {headers:?} {body}");
    }
}

#[test]
fn how_long_to_wait_is_passed_on_within_bounds() {
    for (value, expected) in [("7", Some(7)), ("999999", Some(3600)), ("soon", None), ("-1", None)]
    {
        let raw = raw(429, &[(RETRY_AFTER, value)], "");
        let failure = read(&raw, &config(), "alice").expect_err("429");
        assert_eq!(failure.retry_after().map(|span| span.as_secs()), expected, "{value}");
    }
}
