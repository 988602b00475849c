//! Clients without cookies: pairs of tokens, as programs get, use, exchange and lose them.

pub(crate) mod api_client;
pub(crate) mod clients;
mod keys;
mod lost_answers;
mod outage;

use std::time::Duration;

use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::wait::wait_until;
use serde_json::json;
use tokio::task::JoinSet;

use self::api_client::ApiClient;
use crate::nodes::Pair;
use crate::person::{LIMIT, PASSWORD, Person};
use crate::record::{Record, launch, on_each_record};

on_each_record!(
    a_pair_goes_all_the_way,
    a_logout_ends_both_tokens,
    a_token_that_was_exchanged_before_ends_its_session,
    a_password_change_and_a_disabling_end_tokens,
    a_restart_changes_nothing,
);

async fn a_pair_goes_all_the_way(record: Record) {
    let stand = record.serve().await;
    let mut alice = Person::logged_in(&stand.server, "alice").await;
    let mut api = ApiClient::logged_in(&stand.server, "alice").await;
    let session = api.session().await;
    assert_eq!(session.status, 200, "{}", session.text());
    assert_eq!(session.json()["user"]["username"], "alice");
    let id = session.json()["session"]["id"].clone();
    assert_eq!(api.claims()["sid"], id);
    assert_eq!(api.verify().await.status, 200);
    assert_eq!(api.verify().await.json(), json!({}));

    let devices = alice.devices().await;
    assert!(devices.iter().any(|device| device["id"] == id), "{devices:?}");

    let (access, refresh) = (api.access.clone(), api.refresh.clone());
    assert_eq!(api.exchange().await.status, 200);
    assert!(api.refresh != refresh && api.access != access);
    assert_eq!(api.claims()["sid"], id, "the same session");
    let next = api.refresh.clone();
    // The answer was lost: the same again.
    api.refresh = refresh;
    assert_eq!(api.exchange().await.status, 200);
    assert_eq!(api.refresh, next);
    assert_eq!(api.exchange().await.status, 200);

    // Bearer needs no token against CSRF, and no cookie is touched.
    let path = format!("/api/v1/sessions/{}", alice.session_id().await);
    let revoked = api.send(Method::DELETE, &path).await;
    assert_eq!(revoked.status, 200, "{}", revoked.text());
    assert!(revoked.cookies().is_empty());
    assert_eq!(alice.session().await.status, 401);

    assert_eq!(api.revoke().await.status, 200);
    assert_eq!(api.revoke().await.status, 200, "twice does no harm");
    assert_eq!(api.session().await.code(), "no_session");
    assert_eq!(api.exchange().await.code(), "token_not_valid");
}

async fn a_logout_ends_both_tokens(record: Record) {
    let stand = record.serve().await;
    Person::registered(&stand.server, "alice").await;
    for path in ["/api/v1/auth/logout", "/api/v1/sessions?current=true"] {
        let mut api = ApiClient::logged_in(&stand.server, "alice").await;
        let method = if path.contains("logout") { Method::POST } else { Method::DELETE };
        let ended = api.send(method, path).await;
        assert_eq!(ended.status, 200, "{}", ended.text());
        assert_eq!(ended.json()["revoked"], true);
        assert!(ended.cookies().is_empty(), "a browser's cookie is another matter");
        assert_eq!(api.session().await.status, 401);
        let verified = api.verify().await;
        assert_eq!((verified.status, verified.code().as_str()), (401, "token_not_valid"));
        assert_eq!(api.exchange().await.status, 401);
    }
}

async fn a_token_that_was_exchanged_before_ends_its_session(record: Record) {
    let stand = record.serve().await;
    Person::registered(&stand.server, "alice").await;
    let mut thief = ApiClient::logged_in(&stand.server, "alice").await;
    let mut other = ApiClient::logged_in(&stand.server, "alice").await;
    let stolen = thief.refresh.clone();
    for _ in 0..2 {
        assert_eq!(thief.exchange().await.status, 200);
    }
    let fresh = thief.refresh.clone();
    thief.refresh = stolen;
    let reused = thief.exchange().await;
    assert_eq!((reused.status, reused.code().as_str()), (401, "token_not_valid"));
    thief.refresh = fresh;
    assert_eq!(thief.exchange().await.status, 401, "the whole family");
    assert_eq!((thief.verify().await.status, thief.session().await.status), (401, 401));
    assert_eq!(other.exchange().await.status, 200, "of that session alone");
    let log = stand.server.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("token.reused")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let metrics = stand.server.client().get("/metrics").await.text();
    let counted = r#"nightlatch_token_refreshes_total{outcome="reused"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

async fn a_password_change_and_a_disabling_end_tokens(record: Record) {
    let stand = record.serve().await;
    let mut alice = Person::logged_in(&stand.server, "alice").await;
    let mut api = ApiClient::logged_in(&stand.server, "alice").await;
    let new = "harbour-lantern-quilt-82";
    assert_eq!(alice.change_password(PASSWORD, new).await.status, 200);
    assert_eq!((api.verify().await.status, api.session().await.status), (401, 401));
    assert_eq!(api.exchange().await.status, 401);
    assert_eq!(alice.session().await.status, 200);

    Person::registered(&stand.server, "bob").await;
    let mut api = ApiClient::logged_in(&stand.server, "bob").await;
    let _ = stand.server.command(&["user", "disable", "bob"]);
    wait_until("the server knows", LIMIT, async || api.verify().await.status == 401).await;
    assert_eq!(api.exchange().await.status, 401);
    let _ = stand.server.command(&["user", "enable", "bob"]);
    assert_eq!(api.exchange().await.status, 401, "never again");
}

async fn a_restart_changes_nothing(record: Record) {
    let mut stand = record.serve().await;
    Person::registered(&stand.server, "alice").await;
    let mut stays = ApiClient::logged_in(&stand.server, "alice").await;
    let mut goes = ApiClient::logged_in(&stand.server, "alice").await;
    assert_eq!(goes.send(Method::POST, "/api/v1/auth/logout").await.status, 200);
    stand.server.kill_9();
    stand.server.start_again();
    stand.server.wait_until_ready().await;
    for client in [&mut stays, &mut goes] {
        client.move_to(&stand.server);
    }
    assert_eq!((stays.verify().await.status, goes.verify().await.status), (200, 401));
    assert_eq!((stays.exchange().await.status, goes.exchange().await.status), (200, 401));
}

/// djangorestframework-simplejwt's paths, which end in a slash.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_earlier_systems_find_their_paths() {
    let server = launch().ready().await;
    Person::registered(&server, "alice").await;
    let mut client = server.client();
    let login = json!({ "username": "alice", "password": PASSWORD });
    let pair = client.post_json("/api/token/", &login).await;
    assert_eq!(pair.status, 200, "{}", pair.text());
    let access = json!({ "token": pair.json()["access"] });
    assert_eq!(client.post_json("/api/token/verify/", &access).await.status, 200);
    for path in ["/api/token/refresh/", "/api/auth/refresh/"] {
        let refresh = json!({ "refresh": pair.json()["refresh"] });
        let answer = client.post_json(path, &refresh).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let refresh = json!({ "refresh": pair.json()["refresh"] });
    assert_eq!(client.post_json("/api/token/blacklist/", &refresh).await.status, 200);
    let verified = client.post_json("/api/token/verify/", &access).await;
    assert_eq!((verified.status, verified.code().as_str()), (401, "token_not_valid"));
    assert!(verified.header("www-authenticate").is_some_and(|it| it.starts_with("Bearer")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_are_told_what_is_wrong() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "alice").await;
    let mut api = ApiClient::logged_in(&server, "alice").await;
    let mut client = server.client();
    for (path, field) in [
        ("/api/v1/auth/refresh", "refresh"),
        ("/api/v1/auth/revoke", "refresh"),
        ("/api/v1/auth/verify", "token"),
        ("/api/v1/auth/token", "username"),
    ] {
        for body in [json!({}), json!({ field: 7 }), json!({ field: "" })] {
            let answer = client.post_json(path, &body).await;
            assert_eq!(answer.code(), "invalid_field", "{path} {body}");
            assert_eq!(answer.json()["errors"][0]["field"], field, "{path} {body}");
        }
    }
    let (access, refresh) = (api.access.clone(), api.refresh.clone());
    let garbage = ["x", "a.b.c", "..", &access[1..], &refresh[1..], &access, &"x".repeat(60_000)];
    for garbage in garbage {
        for path in ["/api/v1/auth/refresh", "/api/v1/auth/revoke"] {
            let answer = client.post_json(path, &json!({ "refresh": garbage })).await;
            assert_eq!((answer.status, answer.code().as_str()), (401, "token_not_valid"));
        }
    }
    let answer = client.post_json("/api/v1/auth/verify", &json!({ "token": refresh })).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "token_not_valid"));
    // A header alone decides, whatever cookie comes with it; two say nothing.
    let cookie = person.client.cookies().clone();
    assert!(!cookie.is_empty());
    for authorization in ["Bearer x", "Basic YTpi", "Bearer", "", &format!("Basic {access}")] {
        let request = person.client.request(Method::GET, "/api/v1/session");
        let answer = request.header("authorization", authorization).send().await;
        assert_eq!(answer.code(), "no_session", "{authorization}");
    }
    let bearer = format!("bearer  {access} ");
    let request = person.client.request(Method::GET, "/api/v1/session");
    let one = request.header("authorization", &bearer).send().await;
    assert_eq!(one.status, 200, "in any case, with blanks");
    let request = person.client.request(Method::GET, "/api/v1/session");
    let two = request.header("authorization", &bearer).header("authorization", &bearer);
    assert_eq!(two.send().await.status, 401);
    assert_eq!(api.session().await.status, 200, "nothing of that has ended anything");
}

/// Guesses for tokens count as all others do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_for_tokens_are_throttled_like_logins() {
    let server = launch().set("THROTTLE_LOGIN", "2/m").ready().await;
    let mut person = Person::registered(&server, "alice").await;
    assert_eq!(person.try_password("wrong").await.status, 401);
    let mut client = server.client();
    let wrong = json!({ "username": "alice", "password": "wrong" });
    assert_eq!(client.post_json("/api/v1/auth/token", &wrong).await.code(), "invalid_credentials");
    assert_eq!(client.post_json("/api/v1/auth/token", &wrong).await.code(), "throttled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_on_two_servers_are_told_one_successor() {
    let pair = Pair::serve().await;
    Person::registered(&pair.servers[0], "alice").await;
    let mut api = ApiClient::logged_in(&pair.servers[0], "alice").await;
    for _ in 0..3 {
        let mut tasks = JoinSet::new();
        for number in 0..50 {
            let mut mine = api.at(&pair.servers[number % 2]);
            tasks.spawn(async move {
                let answer = mine.exchange().await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                mine.refresh
            });
        }
        let told = tasks.join_all().await;
        assert!(told.iter().all(|refresh| *refresh == told[0]));
        api.refresh.clone_from(&told[0]);
    }
    assert_eq!(api.exchange().await.status, 200);
    assert_eq!(api.verify().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_binds_another_server_within_two_seconds() {
    let pair = Pair::serve().await;
    Person::registered(&pair.servers[0], "alice").await;
    let mut api = ApiClient::logged_in(&pair.servers[0], "alice").await;
    let mut there = api.at(&pair.servers[1]);
    assert_eq!(there.session().await.status, 200);
    assert_eq!(there.verify().await.status, 200);
    assert_eq!(api.send(Method::POST, "/api/v1/auth/logout").await.status, 200);
    let ended = tokio::time::Instant::now();
    wait_until("the other knows", LIMIT, async || {
        let is_late = ended.elapsed() > Duration::from_secs(2);
        let status = there.verify().await.status;
        assert!(status != 200 || !is_late, "believed for too long");
        status == 401
    })
    .await;
    assert_eq!((there.session().await.status, there.exchange().await.status), (401, 401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_families_have_an_end() {
    let server = launch()
        .set("JWT_ACCESS_TTL", "1")
        .set("JWT_REFRESH_TTL", "12")
        .set("SESSION_REMEMBER_AGE", "1")
        .ready()
        .await;
    Person::registered(&server, "alice").await;
    let mut api = ApiClient::logged_in(&server, "alice").await;
    let claims = api.claims();
    let life = |claims: &serde_json::Value| {
        claims["exp"].as_i64().expect("a time") - claims["iat"].as_i64().expect("a time")
    };
    assert_eq!(life(&claims), 1);
    wait_until("the access token is over", LIMIT, async || api.verify().await.status == 401).await;
    assert_eq!(api.session().await.status, 401);
    assert_eq!(api.exchange().await.status, 200, "the refresh token is not");
    wait_until("the family is over", LIMIT, async || {
        let refresh = api.refresh.clone();
        let status = api.exchange().await.status;
        api.refresh = refresh;
        status == 401
    })
    .await;
}
