//! Throttling: strangers are held up, owners are not, and no restart opens anything.

use std::time::Duration;

use nightlatch_testkit::client::{Answer, Client};
use nightlatch_testkit::server::{Launch, NightlatchServer};
use nightlatch_testkit::wait::wait_until;
use serde_json::json;
use tokio::task::JoinSet;

use crate::person::{PASSWORD, Person};
use crate::problem::assert_problem;
use crate::record::{Record, launch, on_each_record};

on_each_record!(
    five_wrong_passwords_a_minute_and_no_more,
    a_kill_gives_no_fresh_allowance,
    strangers_cannot_lock_the_owner_out,
);

const LOGIN: &str = "/api/v1/auth/login";

/// A client that comes from somewhere else, through a proxy that is trusted.
fn client_from(server: &NightlatchServer, address: &str) -> Client {
    server.client().with_header("x-forwarded-for", address)
}

fn behind_a_proxy() -> Launch {
    launch().set("TRUSTED_PROXIES", "127.0.0.1/32")
}

async fn guess(client: &mut Client, username: &str, password: &str) -> Answer {
    client.post_json(LOGIN, &json!({ "username": username, "password": password })).await
}

async fn five_wrong_passwords_a_minute_and_no_more(record: Record) {
    let stand = record.serve().await;
    let mut owner = Person::logged_in(&stand.server, "margo").await;
    for name in ["margo", "nobody-of-that-name"] {
        let mut stranger = stand.server.client();
        for _ in 0..5 {
            let answer = guess(&mut stranger, name, "wrong").await;
            assert_problem(&answer, 401, "invalid_credentials");
        }
        let answer = guess(&mut stranger, name, "wrong").await;
        assert_problem(&answer, 429, "throttled");
        let wait: u64 = answer.header("retry-after").expect("a wait").parse().expect("seconds");
        assert!((50..=60).contains(&wait), "{wait}");
        assert_eq!(answer.header("ratelimit-policy"), Some("\"tries\";q=5;w=60"));
        assert_eq!(answer.header("ratelimit"), Some(&*format!("\"tries\";r=0;t={wait}")));
        // Not even the right password, or guessing would go on by watching for it.
        assert_problem(&guess(&mut stranger, name, PASSWORD).await, 429, "throttled");
    }
    assert_eq!(owner.session().await.status, 200);
    assert_eq!(owner.log_in().await.status, 200, "the owner's browser counts by itself");
}

async fn a_kill_gives_no_fresh_allowance(record: Record) {
    let mut stand = record.serve().await;
    let mut owner = Person::logged_in(&stand.server, "sister").await;
    let mut stranger = stand.server.client();
    for _ in 0..5 {
        let answer = guess(&mut stranger, "sister", "wrong").await;
        assert_problem(&answer, 401, "invalid_credentials");
    }
    stand.server.kill_9();
    stand.server.start_again();
    // From the very first answer on that is not "I cannot know yet".
    let mut stranger = stand.server.client();
    let mut first = None;
    wait_until("the record is asked again", Duration::from_secs(30), async || {
        let answer = guess(&mut stranger, "sister", "wrong").await;
        let is_final = answer.status != 503;
        first = Some(answer);
        is_final
    })
    .await;
    assert_problem(&first.expect("an answer"), 429, "throttled");
    owner.client.move_to(stand.server.address());
    assert_eq!(owner.log_in().await.status, 200);
}

async fn strangers_cannot_lock_the_owner_out(record: Record) {
    let stand = record.serve_with(behind_a_proxy().set("THROTTLE_ACCOUNT", "6/h")).await;
    let server = &stand.server;
    let mut owner = Person::registered(server, "joan").await;
    owner.client = client_from(server, "198.51.100.7");
    owner.log_in().await;
    // Six strangers from six places use the account's allowance up.
    for place in 0..6 {
        let mut stranger = client_from(server, &format!("203.0.113.{place}"));
        let answer = guess(&mut stranger, "joan", "wrong").await;
        assert_problem(&answer, 401, "invalid_credentials");
    }
    let mut stranger = client_from(server, "203.0.113.99");
    assert_problem(&guess(&mut stranger, "joan", PASSWORD).await, 429, "throttled");

    assert_eq!(owner.session().await.status, 200, "sessions go on");
    assert_eq!(owner.log_in().await.status, 200, "by the device cookie");
    let mut travelling = client_from(server, "192.0.2.50");
    for (name, value) in owner.client.cookies() {
        travelling.set_cookie(name, value);
    }
    assert_eq!(guess(&mut travelling, "joan", PASSWORD).await.status, 200, "wherever it is");
    let mut other_browser = client_from(server, "198.51.100.7");
    assert_eq!(guess(&mut other_browser, "joan", PASSWORD).await.status, 200, "from a known place");
}

#[tokio::test]
async fn a_known_browser_is_throttled_by_itself() {
    let server = launch().ready().await;
    let mut owner = Person::logged_in(&server, "ivan").await;
    let mut other = owner.on_another_device(&server).await;
    for _ in 0..5 {
        assert_problem(&owner.try_password("wrong").await, 401, "invalid_credentials");
    }
    assert_problem(&owner.try_password(PASSWORD).await, 429, "throttled");
    assert_eq!(other.log_in().await.status, 200, "one browser's mistakes are its own");
}

#[tokio::test]
async fn one_name_typed_differently_is_one_name() {
    let server = launch().ready().await;
    Person::registered(&server, "Jürgen").await;
    let mut stranger = server.client();
    for typed in ["Jürgen", "jürgen", "JÜRGEN", " ju\u{308}rgen", "ＪÜＲＧＥＮ"] {
        assert_problem(&guess(&mut stranger, typed, "wrong").await, 401, "invalid_credentials");
    }
    assert_problem(&guess(&mut stranger, "jürgen", PASSWORD).await, 429, "throttled");
    for typed in ["no body", "NO BODY", "nobody\u{200b} ", "no\tbody", "ｎo body"] {
        guess(&mut stranger, typed, "wrong").await;
    }
}

#[tokio::test]
async fn one_place_has_one_allowance_for_all_names() {
    let server = behind_a_proxy().set("THROTTLE_ADDRESS", "8/m").ready().await;
    let mut here = client_from(&server, "2001:db8:1:2:3::1");
    for number in 0..8 {
        let answer = guess(&mut here, &format!("name{number}"), "wrong").await;
        assert_problem(&answer, 401, "invalid_credentials");
    }
    // The next address of the same /64 is the same place; the next /64 is another one.
    let mut beside = client_from(&server, "2001:db8:1:2:ffff::1");
    let answer = guess(&mut beside, "name9", "wrong").await;
    assert_problem(&answer, 429, "throttled");
    assert_eq!(answer.header("ratelimit-policy"), Some("\"tries\";q=8;w=60"));
    let mut elsewhere = client_from(&server, "2001:db8:1:3::1");
    let answer = guess(&mut elsewhere, "name9", "wrong").await;
    assert_problem(&answer, 401, "invalid_credentials");
}

#[tokio::test]
async fn registrations_are_throttled_by_place() {
    let server = behind_a_proxy().set("THROTTLE_REGISTER", "3/h").ready().await;
    let mut here = client_from(&server, "198.51.100.7");
    let register = |name: &str, password: &str| json!({ "username": name, "password": password });
    let path = "/api/v1/auth/register";
    for _ in 0..4 {
        let answer = here.post_json(path, &register("one", "password")).await;
        assert_problem(&answer, 422, "weak_password");
    }
    for (name, status) in [("one", 201), ("two", 201), ("one", 409)] {
        assert_eq!(here.post_json(path, &register(name, PASSWORD)).await.status, status);
    }
    let answer = here.post_json(path, &register("three", PASSWORD)).await;
    assert_problem(&answer, 429, "throttled");
    assert_eq!(answer.header("ratelimit-policy"), Some("\"tries\";q=3;w=3600"));
    let mut elsewhere = client_from(&server, "198.51.100.8");
    assert_eq!(elsewhere.post_json(path, &register("three", PASSWORD)).await.status, 201);
}

#[tokio::test]
async fn a_burst_of_guesses_is_evaluated_no_more_often_than_allowed() {
    let server = launch().ready().await;
    Person::registered(&server, "burst").await;
    let mut guesses = JoinSet::new();
    for _ in 0..40 {
        let mut client = server.client();
        guesses.spawn(async move { guess(&mut client, "burst", "wrong").await.status });
    }
    let statuses = guesses.join_all().await;
    let count = |status| statuses.iter().filter(|seen| **seen == status).count();
    assert_eq!((count(401), count(429) + count(503)), (5, 35), "{statuses:?}");
}

#[tokio::test]
async fn who_waits_as_told_may_try_again() {
    let server = launch().set("THROTTLE_LOGIN", "2/s").ready().await;
    let mut owner = Person::registered(&server, "patient").await;
    let mut told = None;
    // Hashing may be slower than the allowance refills, so the third try in a second is sought.
    for _ in 0..50 {
        let answer = owner.try_password("wrong").await;
        if answer.status == 429 {
            told = Some(answer);
            break;
        }
    }
    let told = told.expect("two tries a second are less than a machine can make");
    let wait: u64 = told.header("retry-after").expect("a wait").parse().expect("seconds");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(owner.log_in().await.status, 200);
}

#[tokio::test]
async fn a_switched_off_throttle_counts_nothing() {
    let server = launch().set("DISABLE_THROTTLING", "true").ready().await;
    let mut person = Person::registered(&server, "free").await;
    for _ in 0..12 {
        assert_problem(&person.try_password("wrong").await, 401, "invalid_credentials");
    }
    assert_eq!(person.log_in().await.status, 200);
}
