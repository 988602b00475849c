//! Headers of every answer, whatever it is.

use nightlatch_testkit::client::Answer;
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::server::NightlatchServer;

use crate::person::Person;
use crate::problem::assert_is_problem;
use crate::record::launch;

/// Answers of every kind: good and bad, of handlers, layers and the router.
async fn answers(server: &NightlatchServer) -> Vec<Answer> {
    let mut person = Person::logged_in(server, "dorothy").await;
    let mut answers = vec![person.session().await, person.try_password("wrong").await];
    let mut client = server.client();
    for path in ["/api/v1/session", "/nowhere", "/health", "/health/live", "/api/v1/auth/login"] {
        answers.push(client.get(path).await);
    }
    answers.push(client.post_json("/api/v1/auth/login", &serde_json::json!([])).await);
    answers.push(client.request(Method::POST, "/api/v1/auth/register").send().await);
    answers.push(client.request(Method::OPTIONS, "/api/v1/session").send().await);
    answers
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    for launch in [launch(), launch().in_production()] {
        let is_production = format!("{launch:?}").contains("production");
        let server = launch.ready().await;
        for answer in answers(&server).await {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
            assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{answer:?}");
            assert_eq!(
                answer.header("cross-origin-opener-policy"),
                Some("same-origin"),
                "{answer:?}"
            );
            let policy = answer.header("content-security-policy").unwrap_or_default();
            for part in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"] {
                assert!(policy.contains(part), "{answer:?}");
            }
            let tls = is_production.then_some("max-age=31536000");
            assert_eq!(answer.header("strict-transport-security"), tls, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn no_answer_names_the_software_or_its_version() {
    let server = launch().in_production().ready().await;
    for answer in answers(&server).await {
        for name in ["server", "x-powered-by", "via"] {
            assert_eq!(answer.header(name), None, "{answer:?}");
        }
        let all = format!("{:?}{:?}", answer.headers, answer.body);
        for word in [env!("CARGO_PKG_VERSION"), "hyper", "axum", "tower", "rust", "sqlite"] {
            assert!(!all.to_lowercase().contains(word), "{word}: {all}");
        }
    }
}

#[tokio::test]
async fn a_request_has_an_id_of_its_own_or_the_plain_one_that_came_with_it() {
    let server = launch().ready().await;
    let mut client = server.client();
    let one = client.get("/api/v1/session").await;
    let two = client.get("/api/v1/session").await;
    let id = |answer: &Answer| answer.header("x-request-id").expect("an id").to_owned();
    assert_ne!(id(&one), id(&two));
    assert_eq!(assert_is_problem(&one)["request_id"], id(&one));

    for (sent, is_kept) in [
        ("edge-17.a:b_c", true),
        ("", false),
        ("two words", false),
        ("{\"forged\":1}", false),
        ("<script>", false),
        (&"a".repeat(65), false),
    ] {
        let request = client.request(Method::GET, "/api/v1/session");
        let answer = request.header("x-request-id", sent).send().await;
        assert_eq!(id(&answer) == sent, is_kept, "{sent:?}");
        assert_is_problem(&answer);
    }
}

#[tokio::test]
async fn in_production_a_problem_tells_nothing_about_what_is_beneath() {
    let server = launch().in_production().ready().await;
    for answer in answers(&server).await.into_iter().filter(|answer| answer.status >= 400) {
        let body = answer.text();
        for member in ["original_error", "debug_info", "suggestions"] {
            assert!(!body.contains(member), "{body}");
        }
    }
}
