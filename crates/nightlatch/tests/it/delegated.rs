//! Delegated login: another service checks passwords, and may fail in every way there is.

mod failing;
mod resilience;
mod secure;
mod standing;

use nightlatch_testkit::auth_service::{FakeAuthService, SERVICE_ID, SERVICE_SECRET};
use nightlatch_testkit::client::{Answer, Client};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::server::{Launch, NightlatchServer};
use serde_json::{Value, json};

use crate::person::{PASSWORD, Person};
use crate::record::{Record, launch, on_each_record};

/// A server that delegates to `url`.
fn delegating_to(url: &str) -> Launch {
    launch()
        .set("AUTH_SERVICE_URL", url)
        .set("SERVICE_ID", SERVICE_ID)
        .set("SERVICE_SECRET", SERVICE_SECRET)
        // What is tried is counted by the tests, not by the throttle.
        .set("DISABLE_THROTTLING", "true")
}

fn alice() -> Value {
    json!({
        "id": 42, "username": "alice", "email": "alice@example.com", "email_verified": true,
        "name": "Alice A.", "groups": ["staff"],
    })
}

async fn knowing_alice() -> FakeAuthService {
    let service = FakeAuthService::start().await;
    service.knows(PASSWORD, alice());
    service
}

async fn log_in_as(client: &mut Client, name: &str, password: &str) -> Answer {
    let body = json!({ "username": name, "password": password });
    client.post_json("/api/v1/auth/login", &body).await
}

async fn log_in(server: &NightlatchServer) -> Answer {
    log_in_as(&mut server.client(), "alice", PASSWORD).await
}

on_each_record!(who_is_known_there_logs_in_here, renamed_people_stay_who_they_are);

async fn who_is_known_there_logs_in_here(record: Record) {
    let service = knowing_alice().await;
    let stand = record.serve_with(delegating_to(&service.url())).await;
    let server = &stand.server;
    let mut client = server.client();
    let answer = log_in_as(&mut client, "alice", PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let user = &answer.json()["user"];
    for (member, value) in [
        ("username", json!("alice")),
        ("email", json!("alice@example.com")),
        ("email_verified", json!(true)),
        ("name", json!("Alice A.")),
        ("groups", json!(["staff"])),
    ] {
        assert_eq!(user[member], value, "{member}");
    }
    assert_eq!(client.get("/api/v1/session").await.status, 200);

    let [asked] = &service.logins()[..] else { panic!("it was asked once") };
    assert_eq!(asked.json(), json!({ "username": "alice", "password": PASSWORD }));
    assert_eq!(asked.header("x-service-id"), Some(SERVICE_ID));
    assert_eq!(asked.header("x-service-secret"), Some(SERVICE_SECRET));
    assert_eq!(asked.header("x-request-id"), answer.header("x-request-id"));

    // By e-mail it is the same person, and tokens are as good as a cookie.
    let again = log_in_as(&mut server.client(), "alice@example.com", PASSWORD).await;
    assert_eq!(again.json()["user"]["id"], user["id"]);
    let body = json!({ "username": "alice", "password": PASSWORD });
    assert_eq!(server.client().post_json("/api/v1/auth/token", &body).await.status, 200);

    for (name, password) in [("alice", "wrong"), ("mallory", PASSWORD), ("", PASSWORD)] {
        let refused = log_in_as(&mut server.client(), name, password).await;
        assert!(matches!(refused.code().as_str(), "invalid_credentials" | "invalid_field"));
    }
    let csrf = answer.json()["csrf_token"].as_str().expect("a token").to_owned();
    let change =
        json!({ "current_password": PASSWORD, "new_password": "another-parade-99-anchor" });
    let request = client.request(Method::POST, "/api/v1/auth/password").json(&change);
    let kept = request.header("x-csrf-token", csrf).send().await;
    assert_eq!((kept.status, kept.code()), (409, "managed_elsewhere".to_owned()));
    let register = json!({ "username": "carol", "password": PASSWORD });
    let closed = server.client().post_json("/api/v1/auth/register", &register).await;
    assert_eq!((closed.status, closed.code()), (403, "registration_closed".to_owned()));
}

async fn renamed_people_stay_who_they_are(record: Record) {
    let service = knowing_alice().await;
    let stand = record.serve_with(delegating_to(&service.url())).await;
    let mut first = stand.server.client();
    let id = log_in_as(&mut first, "alice", PASSWORD).await.json()["user"]["id"].clone();
    let renamed = json!({
        "id": 42, "username": "alicia", "email": "alicia@example.com", "groups": ["staff", "ops"],
    });
    service.knows(PASSWORD, renamed);
    assert_eq!(log_in(&stand.server).await.status, 401, "nobody has that name there");
    let answer = log_in_as(&mut stand.server.client(), "alicia", PASSWORD).await;
    let user = &answer.json()["user"];
    assert_eq!((&user["id"], &user["username"]), (&id, &json!("alicia")));
    assert_eq!(user["email_verified"], json!(false), "nobody says that the new one is hers");
    // Her earlier session shows it too.
    let shown = first.get("/api/v1/session").await.json();
    assert_eq!(shown["user"]["groups"], json!(["ops", "staff"]));
    // Another person who takes the name that she had is another one here.
    service.knows("other-violet-parade", json!({ "id": 43, "username": "alice" }));
    let other = log_in_as(&mut stand.server.client(), "alice", "other-violet-parade").await;
    assert_eq!(other.status, 200, "{}", other.text());
    assert_ne!(other.json()["user"]["id"], id);
}

/// Break-glass: who has a password here is checked here, whatever is said there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_password_here_is_checked_here() {
    let service = knowing_alice().await;
    let server = delegating_to(&service.url()).ready().await;
    let add = server.command_given(&["user", "add", "admin"], &format!("{PASSWORD}\n"));
    assert!(add.status.success(), "{}", String::from_utf8_lossy(&add.stderr));
    assert_eq!(log_in_as(&mut server.client(), "admin", PASSWORD).await.status, 200);
    assert!(service.logins().is_empty(), "it is nobody's business there");
    // Somebody there takes that name: neither is let in as the other.
    service.knows("violet-anchor-there", json!({ "id": 7, "username": "admin" }));
    let there = log_in_as(&mut server.client(), "admin", "violet-anchor-there").await;
    assert_eq!(there.code(), "invalid_credentials");
    service.knows(
        "violet-anchor-there",
        json!({ "id": 7, "username": "admin", "email": "seven@example.com" }),
    );
    let by_mail = log_in_as(&mut server.client(), "seven@example.com", "violet-anchor-there").await;
    assert_eq!((by_mail.status, by_mail.code()), (502, "upstream_bad_response".to_owned()));
    // A user of theirs gets no password here.
    assert_eq!(log_in(&server).await.status, 200);
    let set = server.command_given(&["user", "set-password", "alice"], &format!("{PASSWORD}\n"));
    assert!(!set.status.success());
    assert!(String::from_utf8_lossy(&set.stderr).contains("auth service"), "{set:?}");
    // But an operator can shut them out.
    let disabled = server.command(&["user", "disable", "alice"]);
    assert!(disabled.contains("alice"), "{disabled}");
    assert_eq!(log_in(&server).await.code(), "invalid_credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn existing_sessions_never_need_the_service() {
    let service = knowing_alice().await;
    let server = delegating_to(&service.url()).ready().await;
    let mut client = server.client();
    assert_eq!(log_in_as(&mut client, "alice", PASSWORD).await.status, 200);
    let body = json!({ "username": "alice", "password": PASSWORD });
    let pair = client.post_json("/api/v1/auth/token", &body).await.json();
    let asked = service.logins().len();
    drop(service);
    for _ in 0..5 {
        assert_eq!(client.get("/api/v1/session").await.status, 200);
    }
    let refresh = json!({ "refresh": pair["refresh"] });
    assert_eq!(client.post_json("/api/v1/auth/refresh", &refresh).await.status, 200);
    let refused = log_in(&server).await;
    assert_eq!((refused.status, refused.code()), (503, "upstream_unreachable".to_owned()));
    assert_eq!(asked, 2);
    let ready = client.get("/health/ready").await;
    assert_eq!(ready.status, 200, "checks are served");
}

/// A service that was configured by halves is named at start, and tells nobody that a password is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_named_at_start() {
    let service = knowing_alice().await;
    for (name, value, code, said) in [
        ("SERVICE_SECRET", "", "upstream_service_credentials", "SERVICE_SECRET"),
        (
            "AUTH_SERVICE_URL",
            "auth.example.com",
            "upstream_unreachable",
            "https://auth.example.com",
        ),
    ] {
        let server = delegating_to(&service.url()).set(name, value).ready().await;
        assert!(server.log().contains(said), "{}", server.log());
        let refused = log_in(&server).await;
        assert_eq!(refused.code(), code, "{}", refused.text());
        assert!(refused.status >= 502);
        assert_eq!(refused.json()["debug_info"]["attempts"], 0);
    }
    assert!(service.logins().is_empty());
    let launched = delegating_to(&service.url()).set("AUTH_SERVICE_ENABLED", "off").ready().await;
    Person::registered(&launched, "alice").await;
    assert!(service.logins().is_empty());
}
