//! What the cookies are called and what browsers are told about them.

use nightlatch_testkit::hyper::Method;
use serde_json::json;

use crate::person::{PASSWORD, Person, SESSION};
use crate::problem::assert_problem;
use crate::record::launch;

const SECURE: &[&str] = &["HttpOnly", "Path=/", "SameSite=Lax", "Secure"];
const PLAIN: &[&str] = &["HttpOnly", "Path=/", "SameSite=Lax"];

#[tokio::test]
async fn names_and_attributes_follow_environment_and_domain() {
    let production = || launch().in_production();
    let day = "Max-Age=86400";
    let month = "Max-Age=2592000";
    let shared = production().set("SESSION_COOKIE_DOMAIN", "login.example");
    let short = launch().set("SESSION_COOKIE_AGE", "600").set("SESSION_REMEMBER_AGE", "1200");
    for (launch, name, attributes, domain, ages) in [
        (launch(), "nightlatch", PLAIN, None, [day, month]),
        (production(), "__Host-nightlatch", SECURE, None, [day, month]),
        (shared, "__Secure-nightlatch", SECURE, Some("Domain=login.example"), [day, month]),
        (short, "nightlatch", PLAIN, None, ["Max-Age=600", "Max-Age=1200"]),
    ] {
        let server = launch.ready().await;
        let mut person = Person::registered(&server, "sophie").await;
        for (remember, age) in [(false, ages[0]), (true, ages[1])] {
            let body = json!({ "username": "sophie", "password": PASSWORD, "remember": remember });
            let answer = person.client.post_json("/api/v1/auth/login", &body).await;
            let expected = |age: &str| {
                let all = attributes.iter().copied().chain(domain).chain([age]);
                let mut all: Vec<String> = all.map(str::to_owned).collect();
                all.sort_unstable();
                all
            };
            let cookie = answer.set_cookie(name).expect("the session cookie");
            assert_eq!(cookie.attributes, expected(age), "{name}");
            let device = answer.set_cookie(&format!("{name}-device")).expect("the device cookie");
            assert_eq!(device.attributes, expected("Max-Age=31536000"), "{name}");
            assert_eq!(answer.cookies().len(), 2, "{name}");
        }
    }
}

#[tokio::test]
async fn two_different_session_cookies_count_as_none() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "shafi").await;
    let here = person.token();
    let there = person.on_another_device(&server).await.token();
    let both = format!("{SESSION}={here}; {SESSION}={there}");
    let twice = format!("{SESSION}={here}; {SESSION}={here}");
    for (cookie, status) in [(both, 401), (twice, 200)] {
        let request = person.client.request(Method::GET, "/api/v1/session");
        let answer = request.without_cookies().header("cookie", cookie).send().await;
        assert_eq!(answer.status, status);
    }
    let request = person.client.request(Method::GET, "/api/v1/session").without_cookies();
    let request = request.header("cookie", format!("{SESSION}={here}"));
    let answer = request.header("cookie", format!("{SESSION}={there}")).send().await;
    assert_problem(&answer, 401, "no_session");
    assert_eq!(person.session().await.status, 200, "neither session ended by it");
}

#[tokio::test]
async fn an_authorization_header_alone_decides() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "silvio").await;
    let token = person.token();
    for authorization in ["Bearer x", "Basic dTpw", "", &format!("Bearer {token}")] {
        let request = person.client.request(Method::GET, "/api/v1/session");
        let answer = request.header("authorization", authorization).send().await;
        assert_problem(&answer, 401, "no_session");
        assert!(answer.cookies().is_empty(), "{authorization:?}");
    }
    assert_eq!(person.session().await.status, 200);
}

#[tokio::test]
async fn a_forged_or_changed_cookie_is_no_session() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "whitfield").await;
    let token = person.token();
    let mut changed = token.clone();
    let last = if token.ends_with('A') { "B" } else { "A" };
    changed.replace_range(30..31, if &token[30..31] == "A" { "B" } else { "A" });
    let mut cut = token.clone();
    cut.pop();
    for forged in [&changed, &cut, &format!("{token}{last}"), "", "%00", &"A".repeat(4000)] {
        person.client.set_cookie(SESSION, forged);
        let answer = person.session().await;
        assert_problem(&answer, 401, "no_session");
        assert!(answer.cookies().is_empty(), "not told to forget it: {forged}");
    }
    person.client.set_cookie(SESSION, &token);
    assert_eq!(person.session().await.status, 200);
}
