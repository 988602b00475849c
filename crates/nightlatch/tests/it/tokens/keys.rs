//! The keys that access tokens are signed with.

use std::process::Command;

use nightlatch_testkit::server::NightlatchServer;
use nightlatch_testkit::wait::wait_until;
use serde_json::{Value, json};

use super::ApiClient;
use crate::nodes::Pair;
use crate::person::{LIMIT, Person};
use crate::record::launch;

async fn published(server: &NightlatchServer) -> Vec<Value> {
    let answer = server.client().get("/.well-known/jwks.json").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert!(!answer.text().contains("\"d\""), "public halves alone");
    answer.json()["keys"].as_array().expect("a list").clone()
}

pub(super) fn private_key(words: &[&str]) -> String {
    let made = Command::new("openssl").arg("genpkey").args(words).output();
    let made = made.expect("openssl is there (Debian package openssl)");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).expect("PEM is text")
}

pub(super) const ED25519: &[&str] = &["-algorithm", "ED25519"];
pub(super) const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_key_is_made_once_for_all_servers() {
    let pair = Pair::serve().await;
    let [one, other] = [published(&pair.servers[0]).await, published(&pair.servers[1]).await];
    assert_eq!(one, other);
    assert_eq!((one.len(), &one[0]["alg"], &one[0]["use"]), (1, &"EdDSA".into(), &"sig".into()));
    Person::registered(&pair.servers[0], "alice").await;
    let api = ApiClient::logged_in(&pair.servers[0], "alice").await;
    assert_eq!(api.header()["kid"], one[0]["kid"]);
    assert_eq!(api.at(&pair.servers[1]).verify().await.status, 200);
    // Whoever reads the record finds none.
    let count = "SELECT count(*) FROM nightlatch.signing_keys WHERE length(sealed) = 64";
    assert_eq!(pair.query(count), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configured_keys_sign_with_their_own_algorithm_and_are_rotated() {
    let mut server = launch().ready().await;
    Person::registered(&server, "alice").await;
    let file = server.folder().join("jwt.pem");
    server.set("JWT_PRIVATE_KEY_FILE", file.to_str().expect("a path"));
    let keys = [("EdDSA", ED25519), ("ES256", P256), ("RS256", RSA)];
    let keys = keys.map(|(name, words)| (name, private_key(words)));
    let mut earlier: Option<ApiClient> = None;
    for number in 0..keys.len() {
        // The new one first, the one before it second.
        let (name, first) = &keys[number];
        let second = number.checked_sub(1).map_or("", |number| &keys[number].1);
        std::fs::write(&file, format!("{first}{second}")).expect("it can be written");
        server.terminate();
        server.start_again();
        server.wait_until_ready().await;
        let mut api = ApiClient::logged_in(&server, "alice").await;
        assert_eq!(
            (&api.header()["alg"], api.header()["typ"].as_str()),
            (&(*name).into(), Some("at+jwt"))
        );
        assert_eq!(api.session().await.status, 200);
        let published = published(&server).await;
        assert_eq!(published.len(), 1 + usize::from(number > 0));
        assert_eq!(published[0]["kid"], api.header()["kid"]);
        if let Some(mut earlier) = earlier.replace(api) {
            earlier.move_to(&server);
            assert_eq!(earlier.session().await.status, 200, "of the key before {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_used_is_told_and_left_out() {
    let server = launch().set("JWT_PRIVATE_KEY", "not-a-key-but-a-secret").ready().await;
    let log = server.log();
    assert!(log.contains("JWT_PRIVATE_KEY") && log.contains("openssl genpkey"), "{log}");
    assert!(!log.contains("not-a-key-but-a-secret"));
    assert_eq!(published(&server).await.len(), 1, "one is generated");
}

/// Made by a command, known everywhere before it signs, kept until the tokens before it have ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_key_is_published_before_it_signs_and_no_server_refuses_what_another_signs() {
    let pair = Pair::serve().await;
    let [one, other] = &pair.servers;
    Person::registered(one, "alice").await;
    let mut old = ApiClient::logged_in(one, "alice").await;
    let made = one.command(&["keys", "rotate"]);
    assert!(made.starts_with("made key 2; it is published now and signs from "), "{made}");
    let again = one.command_given(&["keys", "rotate"], "");
    assert_eq!(again.status.code(), Some(1), "one at a time");
    let listed = || -> Value {
        let listed = one.command(&["keys", "list", "--json"]);
        serde_json::from_str(&listed).expect("JSON")
    };
    let states = || listed()["keys"].as_array().expect("a list").clone();
    let [first, next] = &*states() else { panic!("there are two") };
    assert_eq!((&first["state"], &next["state"]), (&"signs".into(), &"next".into()));
    assert_eq!(first["id"], old.header()["kid"]);

    // Its time has come, and one server starts: the other has not even heard of that key.
    pair.sql("UPDATE nightlatch.signing_keys SET signs_from = signs_from - 400000000");
    let newcomer = pair.third().await;
    let mut new = ApiClient::logged_in(&newcomer, "alice").await;
    assert_eq!(new.header()["kid"], next["id"]);
    assert_eq!(published(&newcomer).await.len(), 2);
    for server in [one, other] {
        assert_eq!(new.at(server).session().await.status, 200, "it asks for the key");
        assert_eq!(published(server).await.len(), 2);
    }
    old.move_to(&newcomer);
    assert_eq!(old.session().await.status, 200, "of the key before");
    assert_eq!(old.exchange().await.status, 200);
    assert_eq!(old.header()["kid"], next["id"]);
    assert_eq!(new.verify().await.status, 200);

    // Its tokens have ended.
    pair.sql("UPDATE nightlatch.signing_keys SET signs_from = signs_from - 400000000");
    assert_eq!(states()[0]["state"], "retired");
    assert_eq!(published(&pair.third().await).await.len(), 1);
    let shown = one.command(&["keys", "list"]);
    assert_eq!(shown.lines().count(), 3, "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_not_made_where_servers_would_not_find_them() {
    let server = launch().set("JWT_PRIVATE_KEY", &private_key(ED25519)).ready().await;
    for (words, said) in [(["keys", "rotate"], "JWT_PRIVATE_KEY"), (["keys", "list"], "tokens.md")]
    {
        let refused = server.command_given(&words, "");
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && told.contains(said), "{told}");
    }
    let server = launch().ready().await;
    assert_eq!(published(&server).await.len(), 1);
    let other = launch().set("SESSION_SECRET_KEY", "another-secret-than-the-servers-own-one");
    let refused = other.command(server.folder(), &["keys", "rotate"]).output().expect("it runs");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("key 1 is sealed with another SESSION_SECRET_KEY"), "{told}");
}

/// The secret from which all keys are derived is replaced: first by one that stands in front of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_session_secret_logs_no_client_out() {
    let [old, new] =
        ["the-old-secret-of-thirty-two-characters", "the-new-one-of-thirty-two-characters"];
    let mut server = launch().set("SESSION_SECRET_KEY", old).ready().await;
    Person::registered(&server, "alice").await;
    let mut api = ApiClient::logged_in(&server, "alice").await;
    let mut leaves = ApiClient::logged_in(&server, "alice").await;
    let kid = api.header()["kid"].clone();
    for secrets in [format!("{new},{old}"), new.to_owned()] {
        server.terminate();
        server.set("SESSION_SECRET_KEY", &secrets);
        server.start_again();
        server.wait_until_ready().await;
        api.move_to(&server);
        assert_eq!((api.verify().await.status, api.session().await.status), (200, 200));
        assert_eq!(api.exchange().await.status, 200);
        assert_eq!(api.header()["kid"], kid, "sealed anew in time");
    }
    // Of a key that is not there any more: the record knows it.
    leaves.move_to(&server);
    assert_eq!(leaves.revoke().await.status, 200);
    assert_eq!((leaves.session().await.status, leaves.exchange().await.status), (401, 401));
    assert_eq!(api.exchange().await.status, 200);

    // Replaced at once: what cannot be opened is not known to be bad, and nothing of it is given up.
    server.terminate();
    server.set("SESSION_SECRET_KEY", "another-secret-that-knows-nothing-of-these");
    server.start_again();
    server.wait_until_ready().await;
    api.move_to(&server);
    assert_eq!(api.verify().await.code(), "store_unavailable");
    assert_eq!(api.exchange().await.status, 200, "its hash is known");
    assert_eq!(api.verify().await.status, 200);
}

/// A client that exchanges its refresh token when it is told 401 must be told so in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_a_lost_key_is_known_to_be_over_when_it_says_so() {
    let secret = "the-first-secret-of-thirty-two-characters";
    let mut server =
        launch().set("SESSION_SECRET_KEY", secret).set("JWT_ACCESS_TTL", "4").ready().await;
    Person::registered(&server, "alice").await;
    let mut api = ApiClient::logged_in(&server, "alice").await;
    server.terminate();
    server.set("SESSION_SECRET_KEY", "another-secret-that-knows-nothing-of-the-first");
    server.start_again();
    server.wait_until_ready().await;
    api.move_to(&server);
    let mut unknown = 0;
    wait_until("it is over", LIMIT, async || {
        let answer = api.verify().await;
        unknown += usize::from(answer.status == 503);
        answer.status == 401
    })
    .await;
    assert!(unknown > 0, "it was not over at once");
    assert_eq!(api.session().await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_are_verified_by_the_command_line_as_by_the_server() {
    let server = launch().ready().await;
    Person::registered(&server, "alice").await;
    let api = ApiClient::logged_in(&server, "alice").await;
    let jwk = published(&server).await.remove(0);
    let line = |id: u32, jws: &str| json!({ "id": id, "jwk": jwk, "jws": jws }).to_string();
    let forged = format!("{}AAAA", &api.access[..api.access.len() - 4]);
    let lines = [line(1, &api.access), line(2, &forged), "{}".to_owned()].join("\n");
    let done = server.command_given(&["debug", "verify-jws"], &lines);
    assert_eq!(done.status.code(), Some(1), "one line makes no sense");
    let answers = String::from_utf8(done.stdout).expect("JSON is text");
    let answers: Vec<Value> =
        answers.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers[0], json!({ "id": 1, "valid": true }));
    assert_eq!(answers[1], json!({ "id": 2, "valid": false }));
    assert!(answers[2]["error"].is_string());
}
