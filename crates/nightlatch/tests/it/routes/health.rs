//! GET /health, /health/live, /health/ready, and the API document

use serde_json::{Value, json};

use crate::problem::assert_problem;
use crate::record::{Record, launch, on_each_record};

on_each_record!(a_server_whose_record_answers_is_healthy_live_and_ready);

async fn a_server_whose_record_answers_is_healthy_live_and_ready(record: Record) {
    let stand = record.serve().await;
    let mut client = stand.server.client();
    let answer = client.get("/health").await;
    let body = answer.json();
    assert_eq!(answer.status, 200);
    let known = |name: &str| body[name].clone();
    assert_eq!(known("status"), "healthy");
    assert_eq!((known("database"), known("database_class")), (json!("connected"), json!("none")));
    assert_eq!((known("cache"), known("cache_class")), (json!("disabled"), json!("none")));
    assert_eq!(known("auth_service"), "disabled");
    assert_eq!((known("warnings"), known("findings")), (json!([]), json!([])));
    assert!(known("since").as_str().is_some_and(|since| since.ends_with('Z')), "{body}");
    assert_eq!(client.get("/health/live").await.status, 200);
    assert_eq!(client.get("/health/ready").await.status, 200);
}

#[tokio::test]
async fn a_switched_off_throttle_is_told_by_health() {
    let server = launch().set("DISABLE_THROTTLING", "true").ready().await;
    let answer = server.client().get("/health").await;
    assert_eq!(answer.json()["warnings"], json!(["throttling_disabled"]));
}

/// In development on PostgreSQL the keys are in the database.
#[tokio::test]
async fn a_server_that_still_waits_for_its_keys_answers_like_every_other() {
    let server = launch().set("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none").start();
    let mut client = server.client();
    let credentials = json!({ "username": "alice", "password": "correct horse battery" });
    for answer in [
        client.get("/api/v1/session").await,
        client.get("/no/such/path").await,
        client.post_json("/api/v1/auth/login", &credentials).await,
    ] {
        assert_problem(&answer, 503, "store_unavailable");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let page = client.get("/auth/login").await;
    assert_eq!((page.status, page.header("retry-after")), (503, Some("2")));
    let id = page.header("x-request-id").expect("every answer has one");
    assert!(page.text().contains("<html") && page.text().contains(id), "{}", page.text());

    assert_eq!(client.get("/health/live").await.status, 200);
    assert_eq!(client.get("/health/ready/").await.status, 503);
    let health = client.get("/health").await;
    let body = health.json();
    assert_eq!((health.status, &body["status"]), (503, &json!("unhealthy")));
    assert_eq!(body["database_class"], "unreachable");
    let finding = &body["findings"][0];
    assert_eq!(
        (&finding["id"], &finding["dependency"]),
        (&json!("database-unreachable"), &json!("database"))
    );
    assert!(finding["fix"].as_str().is_some_and(|fix| fix.contains("DATABASE_URL")), "{body}");
}

#[tokio::test]
async fn the_reference_is_a_strict_page_that_may_be_kept_and_can_be_switched_off() {
    let server = launch().in_production().ready().await;
    for (path, media_type) in
        [("/api/docs", "text/html; charset=utf-8"), ("/api/openapi.json", "application/json")]
    {
        let answer = server.client().get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"), "{path}");
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    let page = server.client().get("/api/docs/").await.text();
    for words in ["/api/v1/auth/login", "id=\"problem-logout_pending\"", "/static/reference.css?v="]
    {
        assert!(page.contains(words), "{words}");
    }
    let server = launch().set("API_DOCS", "off").ready().await;
    for path in ["/api/docs", "/api/openapi.json"] {
        assert_eq!(server.client().get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_document_names_every_endpoint() {
    let server = launch().ready().await;
    let answer = server.client().get("/api/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let document = answer.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    for (path, methods) in [
        ("/api/v1/auth/register", &["post"][..]),
        ("/api/v1/auth/login", &["post"]),
        ("/api/v1/auth/logout", &["post"]),
        ("/api/v1/auth/password", &["post"]),
        ("/api/v1/session", &["get"]),
        ("/api/v1/sessions", &["get", "delete"]),
        ("/api/v1/sessions/{id}", &["delete"]),
    ] {
        for method in methods {
            let endpoint: &Value = &document["paths"][path][*method];
            assert!(endpoint["responses"].is_object(), "{method} {path}");
        }
    }
}
