//! A failed login tells nothing about the account: not by its words, not by its moment.

use std::collections::BTreeMap;
use std::time::Duration;

use nightlatch_testkit::client::Answer;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::person::Person;
use crate::problem::assert_problem;
use crate::record::{Record, Stand, launch};

/// A failed login is answered at a multiple of the span, which is a multiple of this.
const SPAN_UNIT: Duration = Duration::from_millis(50);

/// How far two kinds of users may be apart: half of the least that a difference can be.
const APART_MAX: Duration = Duration::from_millis(25);

/// The most rounds until the quickest answers of all kinds have been seen. A difference that is
/// there does not go away by more of them; noise of a busy machine does.
const ROUNDS_MAX: usize = 80;

/// PBKDF2 with so few rounds that verifying takes no time.
const CHEAP_HASH: &str = "pbkdf2_sha256$1000$c2FsdHNhbHQ$\
    T5DIBEtrqVpOFQB0CCHWgWdoe6/Nb4eQGk0Pc6tOWXs=";

/// A hash that nothing verifies.
const UNUSABLE_HASH: &str = "!unusable";

const KINDS: [&str; 6] = ["ordinary", "disabled", "without", "unusable", "imported", "unknown"];

/// Users of every kind that must look alike. Their rows are made what they are behind the server.
async fn users() -> Stand {
    let stand = Record::Postgres.serve_with(launch().set("DISABLE_THROTTLING", "true")).await;
    for kind in KINDS.iter().filter(|kind| **kind != "unknown") {
        Person::registered(&stand.server, kind).await;
    }
    let (postgres, database) = stand.postgres.as_ref().expect("it stands on PostgreSQL");
    let hash = |name: &str, hash: &str| {
        let set = format!("password_hash = {hash}, hash_kind = NULL");
        format!("UPDATE nightlatch.users SET {set} WHERE username = '{name}';")
    };
    let statements = [
        "UPDATE nightlatch.users SET enabled = false WHERE username = 'disabled';".to_owned(),
        hash("without", "NULL"),
        hash("unusable", &format!("'{UNUSABLE_HASH}'")),
        hash("imported", &format!("'{CHEAP_HASH}'")),
    ];
    postgres.sql(database, &statements.concat());
    stand
}

/// What of an answer may not differ: all but the request's id and the date.
fn told(answer: &Answer) -> (u16, Value, Vec<(String, String)>) {
    let mut body = answer.json();
    body["request_id"] = json!("");
    let headers = answer.headers.iter();
    let headers = headers.filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), format!("{value:?}")));
    (answer.status, body, headers.collect())
}

#[tokio::test]
async fn a_failed_login_says_the_same_of_every_user() {
    let stand = users().await;
    let mut seen = Vec::new();
    for kind in KINDS {
        for password in ["wrong", crate::person::PASSWORD] {
            let mut person = Person::new(&stand.server, kind);
            // Only an ordinary user is let in by the right password.
            if (kind, password) != ("ordinary", crate::person::PASSWORD) {
                let answer = person.try_password(password).await;
                assert_problem(&answer, 401, "invalid_credentials");
                seen.push((kind, told(&answer)));
            }
        }
    }
    for (kind, told) in &seen {
        assert_eq!(told, &seen[0].1, "{kind} is told apart from {}", seen[0].0);
    }
}

#[tokio::test]
async fn a_failed_login_is_answered_at_the_same_moment_for_every_user() {
    let stand = users().await;
    let mut client = stand.server.client();
    let mut quickest = BTreeMap::from(KINDS.map(|kind| (kind, Duration::MAX)));
    for round in 0..ROUNDS_MAX {
        for (kind, quickest) in &mut quickest {
            let body = json!({ "username": kind, "password": "wrong" });
            let start = Instant::now();
            let answer = client.post_json("/api/v1/auth/login", &body).await;
            *quickest = start.elapsed().min(*quickest);
            assert_problem(&answer, 401, "invalid_credentials");
        }
        let least = quickest.values().min().expect("there are kinds");
        let most = quickest.values().max().expect("there are kinds");
        assert!(*least >= SPAN_UNIT, "answered before the span: {quickest:?}");
        // A few rounds in any case: the first answers of a server are the slowest.
        if round >= 5 && most.saturating_sub(*least) <= APART_MAX {
            return;
        }
    }
    panic!("failed logins are told apart by their moment: {quickest:?}");
}
