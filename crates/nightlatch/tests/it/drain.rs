//! A stop loses no request that was taken in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nightlatch_testkit::client::{Answer, Client, Lost, form};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::wait::wait_until;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::person::{PASSWORD, Person};
use crate::record::{Record, launch, on_each_record};

on_each_record!(a_stop_under_load_answers_all_that_it_took_in);

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(30);

const CLIENTS: u64 = 20;

/// What one client saw until the server was gone.
struct Seen {
    answers: Vec<(u16, bool)>,
    lost: Lost,
}

fn is_last(answer: &Answer) -> bool {
    answer.header("connection") == Some("close")
}

/// What all clients were served.
#[derive(Default)]
struct Served {
    requests: AtomicU64,
    /// Those who have had an answer.
    clients: AtomicU64,
}

/// Asks again and again until there is no answer.
async fn ask_until_gone(mut client: Client, logs_in: bool, served: Arc<Served>) -> Seen {
    let login = json!({ "username": "load", "password": PASSWORD });
    let mut answers = Vec::new();
    loop {
        let answer = if logs_in {
            client.request(Method::POST, "/api/v1/auth/login").json(&login).try_send().await
        } else {
            client.request(Method::GET, "/api/v1/session").try_send().await
        };
        match answer {
            Ok(answer) => answers.push((answer.status, is_last(&answer))),
            Err(lost) => return Seen { answers, lost },
        }
        served.requests.fetch_add(1, Ordering::Relaxed);
        if answers.len() == 1 {
            served.clients.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn a_stop_under_load_answers_all_that_it_took_in(record: Record) {
    let mut stand = record.serve_with(launch().set("DISABLE_THROTTLING", "true")).await;
    let person = Person::logged_in(&stand.server, "load").await;
    let served = Arc::new(Served::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let mut client = stand.server.client();
        for (name, value) in person.client.cookies() {
            // Those who log in have no session that would end by it.
            if number >= 4 {
                client.set_cookie(name, value);
            }
        }
        clients.spawn(ask_until_gone(client, number < 4, Arc::clone(&served)));
    }
    wait_until("the server is busy with everybody", LIMIT, async || {
        served.requests.load(Ordering::Relaxed) > 300
            && served.clients.load(Ordering::Relaxed) == CLIENTS
    })
    .await;
    stand.server.ask_to_stop();
    let seen = clients.join_all().await;
    assert_eq!(stand.server.wait_for_exit(), Some(0));

    for Seen { answers, lost } in seen {
        let all_good = answers.iter().all(|(status, _)| *status == 200);
        assert!(all_good, "every request that was taken in is served: {answers:?}");
        // A connection that is to be closed says so first; what comes after it is a new one.
        assert!(!matches!(lost, Lost::UnansweredOnKeptConnection(_)), "{lost:?}");
        assert_eq!(answers.last(), Some(&(200, true)), "the last answer says `close`");
    }
    let log = stand.server.log();
    assert!(log.contains("server.stopped") && !log.contains("server.tasks_cut"), "{log}");
}

// Waiting for the process blocks a thread; the connections need another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_half_sent_is_answered_after_the_stop_began() {
    let mut server = launch().ready().await;
    Person::registered(&server, "halfway").await;
    let body = json!({ "username": "halfway", "password": PASSWORD }).to_string();
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let (first, rest) = body.split_at(10);
    let mut stream = TcpStream::connect(server.address()).await.expect("a connection");
    stream.write_all(format!("{head}{first}").as_bytes()).await.expect("it takes bytes");
    // Another answer on another connection: by then the server has taken this one in.
    assert_eq!(server.client().get("/health/live").await.status, 200);
    server.ask_to_stop();
    server.wait_for_log("server.stopping", LIMIT);
    stream.write_all(rest.as_bytes()).await.expect("it still takes bytes");
    let mut answer = String::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer));
    read.await.expect("the connection is closed").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(server.wait_for_exit(), Some(0));
}

/// More than the server accepts in one go.
const WAITING: usize = 400;

// Waiting for the process blocks a thread; the connections need another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_to_be_accepted_when_a_stop_begins_is_answered_too() {
    let mut server = launch().ready().await;
    server.pause();
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        let mut stream =
            TcpStream::connect(server.address()).await.expect("the kernel takes it in");
        let request = b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(request).await.expect("the kernel takes it in");
        waiting.push(stream);
    }
    server.ask_to_stop();
    server.resume();
    for mut stream in waiting {
        let mut answer = String::new();
        let read = tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await;
        read.expect("the connection is closed").expect("it is not reset");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_eq!(server.wait_for_exit(), Some(0));
}

// Waiting for the process blocks a thread; the connections need another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_balancers_see_it_leave_before_it_stops_accepting() {
    let staging = launch().set("ENVIRONMENT", "staging").set("NIGHTLATCH_DRAIN", "4");
    let staging = staging.set("SESSION_SECRET_KEY", "mB7nQ2xV9cK4zL1pW6tR8yH3jF5gD0sA");
    let mut server = staging.ready().await;
    let mut idle = server.client();
    assert_eq!(idle.get("/health/ready").await.status, 200);
    server.ask_to_stop();
    server.wait_for_log("server.stopping", LIMIT);
    // New connections are served, so that what balancers still send is not lost.
    assert_eq!(server.client().get("/health/ready").await.status, 503);
    assert_eq!(server.client().get("/health/live").await.status, 200);
    let mut page = server.client();
    let fields = form(&[("username", "a")]);
    let request = page.request(Method::POST, "/auth/login");
    let answer = request.body("application/x-www-form-urlencoded", fields).send().await;
    assert_eq!(answer.status, 403, "forms too");
    // The idle connection does not hold it up.
    assert_eq!(server.wait_for_exit(), Some(0));
    assert_eq!(idle.connect().await, Err(Lost::NotConnected));
}

// Waiting for the process blocks a thread; the connections need another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_load_stops_at_once() {
    for launch in [launch(), launch().set("DATABASE_URL", "sqlite://other.db")] {
        let mut server = launch.ready().await;
        let start = tokio::time::Instant::now();
        assert_eq!(server.terminate(), Some(0));
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}
