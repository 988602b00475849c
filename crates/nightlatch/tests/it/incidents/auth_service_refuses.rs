//! Incident 2: the auth service refuses our credentials, and every login was a generic 500 of which nobody
//! knew the reason.

use nightlatch_testkit::auth_service::{Conduct, FakeAuthService, SERVICE_ID, SERVICE_SECRET};
use nightlatch_testkit::server::Launch;
use serde_json::json;

use super::{doctor, health, is_told_down, line_of, lines, nobody_was_answered_500, says};
use crate::metrics::recorded::{FAULTY, Recording, WELL};
use crate::metrics::scrape::Scrape;
use crate::person::{PASSWORD, Person};
use crate::record::launch;

const REFUSED: &str = "upstream_service_credentials";

fn delegating(launch: Launch, service: &FakeAuthService) -> Launch {
    launch
        .set("AUTH_SERVICE_URL", &service.url())
        .set("SERVICE_ID", SERVICE_ID)
        .set("SERVICE_SECRET", SERVICE_SECRET)
        .set("DISABLE_THROTTLING", "true")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_auth_service_refuses() {
    let service = FakeAuthService::start().await;
    service.knows_user("alice", PASSWORD);
    let server = delegating(launch(), &service).set("ENVIRONMENT", "staging").ready().await;
    let mut alice = Person::new(&server, "alice");
    let mut elsewhere = Person::new(&server, "alice");
    let mut recording = Recording::default();
    for _ in 0..WELL {
        alice.log_in().await;
        recording.add(&server).await;
    }
    service.set(Conduct::answers(403, r#"{"error":"unknown service"}"#));
    for _ in 0..FAULTY {
        let refused = elsewhere.try_password(PASSWORD).await;
        assert_eq!((refused.status, refused.code().as_str()), (502, REFUSED));
        assert_eq!(alice.session().await.status, 200, "who is logged in needs it not");
        recording.add(&server).await;
    }

    // Staging says why, and what to do.
    let refused = elsewhere.try_password(PASSWORD).await;
    let body = refused.json();
    assert_eq!(body["debug_info"]["dependency"], "auth_service");
    assert_eq!(body["debug_info"]["service_id_configured"], true);
    assert!(body["original_error"].as_str().is_some_and(|it| it.contains("403")), "{body}");
    assert!(body["suggestions"].as_array().is_some_and(|it| !it.is_empty()), "{body}");

    // Who operates it: a line for the change, and with each request's id what it met.
    let told = is_told_down(&server, "auth_service", "forbidden").await;
    assert_eq!(told["finding"], "auth-service-credentials");
    let line = line_of(&server, &refused).await;
    assert_eq!((&line["http.status"], &line["code"]), (&502.into(), &REFUSED.into()));
    assert_eq!((&line["class"], &line["attempts"]), (&"forbidden".into(), &1.into()));
    let health_now = health(&server).await;
    assert_eq!(
        (&health_now["status"], &health_now["auth_service"]),
        (&"degraded".into(), &"error: forbidden".into())
    );
    assert_eq!(server.client().get("/health/ready").await.status, 200);

    nobody_was_answered_500(&server).await;
    let told = Scrape::of(&mut server.client()).await;
    let outcome = format!("nightlatch_logins_total{{outcome=\"{REFUSED}\"}}");
    assert!(told.value(&outcome).is_some_and(|count| count > f64::from(20)), "{outcome}");
    recording.check(&[
        "NightlatchLoginsFail",
        "NightlatchAuthServiceDown",
        "NightlatchServiceCredentialsRefused",
    ]);

    let found = doctor(&server, &["auth-service"]);
    assert_eq!((found.wrong(), found.code), (vec!["auth-service-credentials"], Some(1)));
    let why = says(&found, "auth-service-credentials", "why");
    assert!(why.contains("correct SERVICE_ID and SERVICE_SECRET"), "{why}");

    // A wrong password is another matter, and what was refused is over when they agree again.
    service.set(Conduct::Sound);
    assert_eq!(elsewhere.try_password("not-hers").await.status, 401);
    elsewhere.log_in().await;
    assert_eq!(health(&server).await["auth_service"], "connected");
    assert!(!server.log().contains(SERVICE_SECRET) && !server.log().contains(PASSWORD));
}

/// In production the answer is generic, and its id leads to the reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_outside_is_told_why_and_a_missing_secret_is_noticed_at_once() {
    let service = FakeAuthService::start().await;
    let launch = delegating(launch().in_production(), &service).set("SERVICE_SECRET", "");
    let server = launch.ready().await;
    let problems = lines(&server, "config.problem");
    assert!(
        problems.iter().any(|line| line["message"].to_string().contains("SERVICE_SECRET")),
        "{problems:#?}"
    );
    let body = json!({ "username": "alice", "password": PASSWORD });
    let refused = server.client().post_json("/api/v1/auth/login", &body).await;
    assert_eq!((refused.status, refused.code().as_str()), (502, REFUSED));
    let told = refused.json();
    for member in ["original_error", "debug_info", "suggestions"] {
        assert!(told.get(member).is_none(), "{told}");
    }
    assert!(
        !refused.text().contains("SERVICE_") && !refused.text().contains("127.0.0.1"),
        "{told}"
    );
    assert_eq!(told["request_id"], refused.header("x-request-id").expect("an id"));
    let line = line_of(&server, &refused).await;
    assert_eq!(line["class"], "auth_required");
    assert!(line["error"].as_str().is_some_and(|error| error.contains("SERVICE_SECRET")), "{line}");
    assert!(service.logins().is_empty(), "nobody's password was sent");
    let found = doctor(&server, &["auth-service"]);
    assert_eq!(found.code, Some(1), "{:#?}", found.findings);
    let named = found.findings.iter().any(|finding| finding.to_string().contains("SERVICE_SECRET"));
    assert!(named, "{:#?}", found.findings);
}
