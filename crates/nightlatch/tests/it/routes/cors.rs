//! Who may call from another origin, with credentials: exactly those who are named.

use nightlatch_testkit::client::Answer;
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::server::NightlatchServer;

use crate::person::Person;
use crate::record::launch;

const ALLOWED: &str = "https://app.example";

async fn preflight(server: &NightlatchServer, origin: &str) -> Answer {
    let mut client = server.client();
    let request = client.request(Method::OPTIONS, "/api/v1/auth/logout");
    let request = request.header("origin", origin).header("access-control-request-method", "POST");
    request.header("access-control-request-headers", "x-csrf-token,content-type").send().await
}

#[tokio::test]
async fn a_named_origin_may_call_with_credentials() {
    let server = launch().set("ALLOWED_ORIGINS", ALLOWED).ready().await;
    let answer = preflight(&server, ALLOWED).await;
    assert!(answer.status < 300, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(ALLOWED));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    let allowed = answer.header("access-control-allow-headers").unwrap_or_default();
    assert!(allowed.contains("x-csrf-token") && allowed.contains("content-type"), "{allowed}");
    assert!(!allowed.contains('*'), "{allowed}");

    let mut person = Person::logged_in(&server, "vint").await;
    let request = person.client.request(Method::GET, "/api/v1/session");
    let answer = request.header("origin", ALLOWED).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ALLOWED));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert!(answer.header("vary").is_some_and(|vary| vary.to_lowercase().contains("origin")));
}

#[tokio::test]
async fn nobody_else_is_allowed_anything() {
    let named = launch().set("ALLOWED_ORIGINS", ALLOWED).ready().await;
    let unnamed = launch().ready().await;
    for (server, origin) in [
        (&named, "https://evil.example"),
        (&named, "null"),
        (&named, "http://app.example"),
        (&unnamed, ALLOWED),
    ] {
        let answer = preflight(server, origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        let mut client = server.client();
        let request = client.request(Method::GET, "/api/v1/session");
        let answer = request.header("origin", origin).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
}
