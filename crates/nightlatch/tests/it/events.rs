//! `GET /api/v1/session/events`: who watches a session knows at once when it ends, however it does.

use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::NightlatchServer;
use nightlatch_testkit::socket::{Heard, Socket};
use nightlatch_testkit::wait::wait_until;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::forward_auth::Parted;
use crate::nodes::Pair;
use crate::person::{LIMIT, Person, SESSION};
use crate::problem::assert_problem;
use crate::record::{Record, launch, on_each_record};

const PATH: &str = "/api/v1/session/events";

/// Within which every node knows of an end.
const S: Duration = Duration::from_secs(2);

/// What an ended session's socket is closed with.
const ENDED: u16 = 4401;

/// A socket of this person, which has said whose session it is.
async fn watching(person: &Person, server: &NightlatchServer) -> Socket {
    let mut socket =
        Socket::of(&person.client, server.address(), PATH).await.expect("the session is good");
    let Heard::Said(event) = socket.hear().await else { panic!("it says nothing") };
    assert_eq!(event["type"], "session");
    assert_eq!(event["session"]["current"], true);
    socket
}

async fn assert_ended(socket: &mut Socket, word: &str) {
    let began = Instant::now();
    assert_eq!(socket.hear().await, Heard::Said(json!({ "type": word })));
    assert_eq!(socket.hear().await, Heard::Closed(ENDED));
    assert!(began.elapsed() < S, "{word}: {:?}", began.elapsed());
}

on_each_record!(every_way_to_end_a_session_ends_its_sockets);

async fn every_way_to_end_a_session_ends_its_sockets(record: Record) {
    let stand = record.serve().await;
    let server = &stand.server;
    let mut alice = Person::logged_in(server, "alice").await;
    let mut phone = alice.on_another_device(server).await;
    let mut tablet = alice.on_another_device(server).await;
    let mut stays = watching(&alice, server).await;

    let mut of_phone = watching(&phone, server).await;
    let mut other_tab = watching(&phone, server).await;
    assert_eq!(phone.log_out().await.status, 200);
    assert_ended(&mut of_phone, "revoked").await;
    assert_ended(&mut other_tab, "revoked").await;

    let mut of_tablet = watching(&tablet, server).await;
    assert_eq!(alice.revoke("/api/v1/sessions").await.status, 200);
    assert_ended(&mut of_tablet, "revoked").await;
    assert_eq!(tablet.client.get("/api/v1/session").await.status, 401);

    let _ = server.command(&["user", "disable", "alice"]);
    assert_ended(&mut stays, "revoked").await;
    assert_eq!(Socket::of(&alice.client, server.address(), PATH).await.err(), Some(401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_on_another_node_ends_here_with_and_without_redis() {
    let redis = RedisServer::launch();
    let launch = launch().set("REDIS_URL", &format!("redis://127.0.0.1:{}/0", redis.port()));
    let pair = Pair::serve_with(launch).await;
    let [here, there] = &pair.servers;
    let alice = Person::logged_in(here, "alice").await;
    for is_redis_there in [true, false] {
        let mut phone = alice.on_another_device(here).await;
        let mut socket = watching(&phone, there).await;
        if !is_redis_there {
            redis.kill_9();
        }
        assert_eq!(phone.log_out().await.status, 200);
        assert_ended(&mut socket, "revoked").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_time_is_over_says_so_and_a_look_is_no_use_of_it() {
    let server = launch().set("SESSION_IDLE_TIMEOUT", "3").ready().await;
    let alice = Person::logged_in(&server, "alice").await;
    let mut socket = watching(&alice, &server).await;
    assert_eq!(socket.hear().await, Heard::Said(json!({ "type": "expired" })));
    assert_eq!(socket.hear().await, Heard::Closed(ENDED));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_other_sites_and_plain_requests_get_no_socket() {
    let server = launch().ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    let address = server.address();
    assert_eq!(Socket::open(address, PATH, &[]).await.err(), Some(401));
    let cookie = format!("{SESSION}={}", alice.token());
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let headers = [("cookie", cookie.as_str()), ("origin", origin)];
        assert_eq!(Socket::open(address, PATH, &headers).await.err(), Some(403), "{origin}");
    }
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    assert_eq!(Socket::open(address, PATH, &headers).await.err(), Some(403));
    // A program sends no origin.
    assert!(Socket::open(address, PATH, &[("cookie", &cookie)]).await.is_ok());
    assert_problem(&alice.client.get(PATH).await, 400, "bad_request");

    let tokens = json!({ "username": "alice", "password": alice.password });
    let tokens = alice.client.post_json("/api/v1/auth/token", &tokens).await.json();
    let bearer = format!("Bearer {}", tokens["access"].as_str().expect("a token"));
    let mut socket =
        Socket::open(address, PATH, &[("authorization", &bearer)]).await.expect("it is good");
    assert!(matches!(socket.hear().await, Heard::Said(event) if event["type"] == "session"));
    let refresh = json!({ "refresh": tokens["refresh"] });
    assert_eq!(alice.client.post_json("/api/v1/auth/revoke", &refresh).await.status, 200);
    assert_ended(&mut socket, "revoked").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_has_so_many_sockets_and_a_chatterer_none() {
    let server = launch().ready().await;
    let alice = Person::logged_in(&server, "alice").await;
    let mut sockets = Vec::new();
    let refused = loop {
        match Socket::of(&alice.client, server.address(), PATH).await {
            Ok(socket) => sockets.push(socket),
            Err(status) => break status,
        }
    };
    assert_eq!((refused, sockets.len()), (429, 16));
    let mut chatterer = sockets.pop().expect("there are many");
    while chatterer.say("anybody there?").await.is_ok() {}
    drop(sockets);
    let mut socket = loop {
        // The server learns of an end by reading it.
        if let Ok(socket) = Socket::of(&alice.client, server.address(), PATH).await {
            break socket;
        }
    };
    let Heard::Said(Value::Object(_)) = socket.hear().await else { panic!("it says nothing") };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_says_that_it_goes() {
    let server = launch().ready().await;
    let alice = Person::logged_in(&server, "alice").await;
    let mut socket = watching(&alice, &server).await;
    server.ask_to_stop();
    assert_eq!(socket.hear().await, Heard::Closed(1001));
}

/// A server that does not reach its record, and believes no copy for longer than a second.
async fn parted() -> (Parted, Person) {
    let parted = Parted::serve(launch().set("NIGHTLATCH_MAX_STALENESS", "1")).await;
    let alice = Person::logged_in(&parted.here, "alice").await;
    (parted, alice)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_knowing_ends_no_socket_and_what_ended_meanwhile_is_told_when_it_is_known() {
    let (parted, mut alice) = parted().await;
    let mut socket = watching(&alice, &parted.here).await;
    parted.part().await;
    wait_until("nobody knows", LIMIT, async || {
        alice.client.get("/api/v1/session").await.status == 503
    })
    .await;
    let mut elsewhere = alice.on_another_device(&parted.there).await;
    assert_eq!(elsewhere.revoke("/api/v1/sessions").await.status, 200);
    assert_eq!(alice.client.get("/api/v1/session").await.status, 503);
    parted.join().await;
    assert_eq!(socket.hear().await, Heard::Said(json!({ "type": "revoked" })));
    assert_eq!(socket.hear().await, Heard::Closed(ENDED));
}

/// The only test that waits for a minute: what ends it is the minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_knowing_for_a_minute_closes_a_socket_with_try_again_later() {
    let (parted, alice) = parted().await;
    let mut socket = watching(&alice, &parted.here).await;
    parted.part().await;
    let began = Instant::now();
    assert_eq!(socket.hear_within(Duration::from_mins(2)).await, Heard::Closed(1013));
    assert!(began.elapsed() >= Duration::from_secs(59), "{:?}", began.elapsed());
}
