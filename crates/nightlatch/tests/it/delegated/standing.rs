//! Whether people who are logged in still may be: only the auth service's "no" ends anything.

use std::time::Duration;

use nightlatch_testkit::auth_service::{Conduct, FakeAuthService};
use nightlatch_testkit::client::Client;
use nightlatch_testkit::server::{Launch, NightlatchServer};
use nightlatch_testkit::wait::wait_until;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{alice, delegating_to, knowing_alice, log_in_as};
use crate::nodes::Pair;
use crate::person::{LIMIT, PASSWORD};
use crate::record::{Record, on_each_record};

/// Every second: so a test sees several rounds.
fn asking_again(service: &FakeAuthService) -> Launch {
    delegating_to(&service.url()).set("AUTH_SERVICE_REVALIDATE", "1")
}

async fn logged_in(server: &NightlatchServer, name: &str) -> Client {
    let mut client = server.client();
    let answer = log_in_as(&mut client, name, PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    client
}

async fn status(client: &mut Client) -> u16 {
    client.get("/api/v1/session").await.status
}

/// Until everybody who is logged in has been asked about so often again.
async fn rounds(service: &FakeAuthService, id: &str, more: usize) {
    let about = || service.asked_about().iter().filter(|asked| *asked == id).count();
    let enough = about() + more;
    wait_until("it is asked again", LIMIT, async || about() >= enough).await;
}

on_each_record!(who_is_disabled_there_is_logged_out, what_is_no_answer_changes_nothing);

async fn who_is_disabled_there_is_logged_out(record: Record) {
    let service = knowing_alice().await;
    service.knows_user("bob", PASSWORD);
    service.knows(PASSWORD, json!({ "id": "a/b c", "username": "carol" }));
    let stand = record.serve_with(asking_again(&service)).await;
    let server = &stand.server;
    let mut alices = logged_in(server, "alice").await;
    let mut bobs = logged_in(server, "bob").await;
    let mut carols = logged_in(server, "carol").await;
    let body = json!({ "username": "alice", "password": PASSWORD });
    let tokens = server.client().post_json("/api/v1/auth/token", &body).await.json();
    rounds(&service, "42", 2).await;
    assert_eq!(status(&mut alices).await, 200, "she may be logged in");

    let mut disabled = alice();
    disabled["enabled"] = Value::from(false);
    service.knows(PASSWORD, disabled);
    wait_until("she is logged out", LIMIT, async || status(&mut alices).await == 401).await;
    let refresh = json!({ "refresh": tokens["refresh"] });
    let refused = server.client().post_json("/api/v1/auth/refresh", &refresh).await;
    assert_eq!((refused.status, refused.code()), (401, "token_not_valid".to_owned()));
    assert_eq!((status(&mut bobs).await, status(&mut carols).await), (200, 200));
    let log = server.log();
    assert!(log.contains("standing.ended"), "{log}");

    // Enabled again she may log in again; nobody had to do anything here.
    service.knows(PASSWORD, alice());
    assert_eq!(status(&mut logged_in(server, "alice").await).await, 200);
    // An id is one segment of the path, whatever it holds.
    assert!(service.asked_about().contains(&"a%2Fb%20c".to_owned()), "{:?}", service.asked_about());
    service.forgets(&json!("bob"));
    wait_until("he is logged out", LIMIT, async || status(&mut bobs).await == 401).await;
}

async fn what_is_no_answer_changes_nothing(record: Record) {
    let service = knowing_alice().await;
    let stand = record.serve_with(asking_again(&service)).await;
    let mut alices = logged_in(&stand.server, "alice").await;
    let html = [("content-type", "text/html")];
    for conduct in [
        Conduct::answers(404, "{}"),
        Conduct::answers(410, "{}"),
        Conduct::answers_with(404, &html, "<h1>Not found</h1>"),
        Conduct::answers(401, r#"{"code":"wrong"}"#),
        Conduct::answers(403, "{}"),
        Conduct::answers(405, "{}"),
        Conduct::answers(500, r#"{"code":"user_not_found"}"#),
        Conduct::answers(200, r#"{"user":{"id":43,"enabled":true}}"#),
        Conduct::answers(200, "{}"),
        Conduct::answers(200, r#"{"user":{"id":42,"enabled":"no"}}"#),
        Conduct::answers(200, r#"{"id":42,"active":true,"data":{"active":false}}"#),
        Conduct::answers(429, "{}"),
        Conduct::Closes,
    ] {
        service.set(conduct);
        rounds(&service, "42", 1).await;
    }
    assert_eq!(status(&mut alices).await, 200);
    let log = stand.server.log();
    assert_eq!(log.matches("standing.unknown").count(), 1, "it is told once: {log}");

    // Once it answers again what it says of her is followed, her session stays.
    let renamed = json!({ "id": 42, "username": "alicia", "groups": ["ops"] });
    service.knows(PASSWORD, renamed);
    service.set(Conduct::Sound);
    wait_until("her session shows it", LIMIT, async || {
        let shown = alices.get("/api/v1/session").await.json();
        shown["user"]["username"] == "alicia" && shown["user"]["groups"] == json!(["ops"])
    })
    .await;
    stand.server.wait_for_log("standing.known", LIMIT);
}

/// Somebody of another id who is off is no reason to log anybody out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_about_somebody_else_ends_nothing() {
    let service = knowing_alice().await;
    let server = asking_again(&service).ready().await;
    let mut alices = logged_in(&server, "alice").await;
    service.set(Conduct::answers(200, r#"{"user":{"id":43,"enabled":false}}"#));
    rounds(&service, "42", 3).await;
    assert_eq!(status(&mut alices).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_session_or_a_password_here_is_not_asked_about() {
    let service = knowing_alice().await;
    service.knows_user("bob", PASSWORD);
    let server = asking_again(&service).ready().await;
    let add = server.command_given(&["user", "add", "admin"], &format!("{PASSWORD}\n"));
    assert!(add.status.success(), "{}", String::from_utf8_lossy(&add.stderr));
    let mut admins = logged_in(&server, "admin").await;
    logged_in(&server, "alice").await;
    let revoked = server.command(&["session", "revoke", "--user", "alice"]);
    assert!(revoked.contains('1'), "{revoked}");
    let before = service.asked_about().len();
    logged_in(&server, "bob").await;
    rounds(&service, "bob", 3).await;
    let asked = service.asked_about().split_off(before);
    // A question that was under way may come in late.
    assert!(asked.iter().filter(|id| *id != "bob").count() <= 1, "{asked:?}");
    assert_eq!(status(&mut admins).await, 200);
}

/// Two servers ask as often as one, and both hear what it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_share_the_questions() {
    let service = knowing_alice().await;
    let launch = delegating_to(&service.url()).set("AUTH_SERVICE_REVALIDATE", "5");
    let pair = Pair::serve_with(launch).await;
    let [one, other] = &pair.servers;
    let mut ones = logged_in(one, "alice").await;
    let mut others = logged_in(other, "alice").await;
    let started = Instant::now();
    rounds(&service, "42", 2).await;
    let asked = service.asked_about().len() as u64;
    let most = 1 + started.elapsed().as_secs() / 5;
    assert!(asked <= most, "{asked} questions where {most} are due");
    let mut disabled = alice();
    disabled["disabled"] = Value::from(true);
    service.knows(PASSWORD, disabled);
    for client in [&mut ones, &mut others] {
        wait_until("she is logged out", LIMIT, async || status(client).await == 401).await;
    }
}

/// The path that people are asked about at may fail as it likes: logins go elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_questions_are_no_failing_logins() {
    let service = knowing_alice().await;
    let names: Vec<String> = (0..12).map(|id| format!("user-{id}")).collect();
    for name in &names {
        service.knows_user(name, PASSWORD);
    }
    let server = asking_again(&service).ready().await;
    let mut clients = Vec::new();
    for name in &names {
        clients.push(logged_in(&server, name).await);
    }
    for conduct in [
        Conduct::answers(503, "{}"),
        Conduct::Closes,
        Conduct::answers(403, "{}"),
        Conduct::Late(Duration::from_secs(4)),
    ] {
        service.set_for_questions(conduct);
        let enough = service.asked_about().len() + 8;
        wait_until("it is asked", LIMIT, async || service.asked_about().len() >= enough).await;
        logged_in(&server, "alice").await;
        let health = server.client().get("/health").await.json();
        assert_eq!(health["auth_service"], "connected", "{health}");
    }
    for client in &mut clients {
        assert_eq!(status(client).await, 200);
    }
}

/// Nor do good answers hide that logins fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_answers_to_questions_do_not_hide_failing_logins() {
    let service = knowing_alice().await;
    let server = asking_again(&service).set("AUTH_SERVICE_MAX_ATTEMPTS", "1").ready().await;
    logged_in(&server, "alice").await;
    service.set_for_questions(Conduct::Sound);
    service.set(Conduct::Closes);
    for _ in 0..5 {
        let failed = log_in_as(&mut server.client(), "alice", PASSWORD).await;
        assert_eq!(failed.code(), "upstream_unreachable");
    }
    // From here on logins are told at once, and questions wait until one of them gets through.
    let asked = service.logins().len();
    for _ in 0..5 {
        log_in_as(&mut server.client(), "alice", PASSWORD).await;
    }
    assert!(service.logins().len() - asked <= 2, "the breaker is open");
    service.set(Conduct::Sound);
    wait_until("it is used again", LIMIT, async || {
        log_in_as(&mut server.client(), "alice", PASSWORD).await.status == 200
    })
    .await;
}

/// Who has logged in while the question was under way was vouched for after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_since_the_question_stands() {
    let service = knowing_alice().await;
    let server = asking_again(&service).ready().await;
    let mut before = logged_in(&server, "alice").await;
    let off = r#"{"user":{"id":42,"enabled":false}}"#;
    let Conduct::Says(answer) = Conduct::answers(200, off) else { unreachable!("it says that") };
    // A byte every so often: some two seconds in all.
    let between = Duration::from_secs(2) / u32::try_from(answer.len()).expect("it is short");
    service.set_for_questions(Conduct::Drips(answer, between));
    rounds(&service, "42", 1).await;
    let mut since = logged_in(&server, "alice").await;
    wait_until("the earlier one ends", LIMIT, async || status(&mut before).await == 401).await;
    service.set_for_questions(Conduct::Sound);
    assert_eq!(status(&mut since).await, 200);
}
