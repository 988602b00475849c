//! Unsafe requests by cookie prove that they came from our own page.

use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::server::PRODUCTION_ORIGIN;
use serde_json::json;

use crate::person::{PASSWORD, Person};
use crate::problem::assert_problem;
use crate::record::launch;

#[tokio::test]
async fn every_unsafe_request_by_cookie_needs_the_sessions_own_token() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "ron").await;
    let other = person.on_another_device(&server).await;
    let foreign = Person::logged_in(&server, "clifford").await;
    let change = json!({ "current_password": PASSWORD, "new_password": "copper-lantern-58" });
    for (method, path) in [
        (Method::POST, "/api/v1/auth/logout"),
        (Method::POST, "/api/v1/auth/password"),
        (Method::DELETE, "/api/v1/sessions"),
        (Method::DELETE, "/api/v1/sessions?current=true"),
        (Method::DELETE, "/api/v1/sessions/00000000-0000-7000-8000-000000000000"),
    ] {
        for wrong in [None, Some(""), Some("x"), Some(other.csrf.as_str()), Some(&foreign.csrf)] {
            let mut request = person.client.request(method.clone(), path).json(&change);
            if let Some(token) = wrong {
                request = request.header("x-csrf-token", token);
            }
            let answer = request.send().await;
            assert_problem(&answer, 403, "csrf_failed");
            assert!(answer.cookies().is_empty(), "{path}");
        }
    }
    assert_eq!(person.session().await.status, 200, "nothing of it happened");
    assert_eq!(person.devices().await.len(), 2);
}

#[tokio::test]
async fn strange_origins_are_refused_also_with_the_token() {
    let allowed = "https://app.example";
    let server = launch().set("ALLOWED_ORIGINS", allowed).ready().await;
    let mut person = Person::logged_in(&server, "leslie").await;
    let port = server.address().port();
    let own = server.origin();
    let elsewhere = format!("http://127.0.0.1:{}", port.wrapping_add(1));
    let tls = format!("https://127.0.0.1:{port}");
    for (origin, site, is_refused) in [
        (Some("null"), None, true),
        (Some("https://evil.example"), None, true),
        (Some("https://app.example.evil.example"), None, true),
        (Some("http://app.example"), None, true),
        (Some(elsewhere.as_str()), None, true),
        (Some("file://"), None, true),
        (Some(""), None, true),
        (None, Some("cross-site"), true),
        (Some(own.as_str()), Some("cross-site"), true),
        (Some(own.as_str()), Some("same-origin"), false),
        (Some(allowed), Some("cross-site"), false),
        (Some(tls.as_str()), None, false),
        (None, None, false),
    ] {
        let id = "00000000-0000-7000-8000-000000000000";
        let path = format!("/api/v1/sessions/{id}");
        let mut request = person.client.request(Method::DELETE, &path);
        request = request.header("x-csrf-token", &person.csrf);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        let answer = request.send().await;
        if is_refused {
            assert_problem(&answer, 403, "csrf_failed");
        } else {
            assert_problem(&answer, 404, "not_found");
        }
    }
}

#[tokio::test]
async fn logins_and_registrations_for_another_site_are_refused() {
    let server = launch().ready().await;
    let mut person = Person::registered(&server, "adi").await;
    let login = json!({ "username": "adi", "password": PASSWORD });
    let register = json!({ "username": "ralph", "password": PASSWORD });
    for (path, body) in [("/api/v1/auth/login", &login), ("/api/v1/auth/register", &register)] {
        for (name, value) in [
            ("origin", "null"),
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let request = person.client.request(Method::POST, path);
            let answer = request.header(name, value).json(body).send().await;
            assert_problem(&answer, 403, "csrf_failed");
            assert!(answer.cookies().is_empty());
        }
    }
    let mut ralph = Person::new(&server, "ralph");
    assert_problem(&ralph.try_password(PASSWORD).await, 401, "invalid_credentials");
}

#[tokio::test]
async fn in_production_only_the_public_origin_counts() {
    let server = launch().in_production().ready().await;
    let mut person = Person::registered(&server, "moxie").await;
    let login = json!({ "username": "moxie", "password": PASSWORD });
    for (origin, status) in [(PRODUCTION_ORIGIN, 200), (server.origin().as_str(), 403)] {
        let request = person.client.request(Method::POST, "/api/v1/auth/login");
        let answer = request.header("origin", origin).json(&login).send().await;
        assert_eq!(answer.status, status, "{origin}: {}", answer.text());
    }
}
