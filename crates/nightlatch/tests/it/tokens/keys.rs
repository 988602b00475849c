//! The keys that access tokens are signed with.

use std::process::Command;

use nightlatch_testkit::server::NightlatchServer;
use serde_json::Value;

use super::ApiClient;
use crate::nodes::Pair;
use crate::person::Person;
use crate::record::launch;

async fn published(server: &NightlatchServer) -> Vec<Value> {
    let answer = server.client().get("/.well-known/jwks.json").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert!(!answer.text().contains("\"d\""), "public halves alone");
    answer.json()["keys"].as_array().expect("a list").clone()
}

fn private_key(words: &[&str]) -> String {
    let made = Command::new("openssl").arg("genpkey").args(words).output();
    let made = made.expect("openssl is there (Debian package openssl)");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).expect("PEM is text")
}

const ED25519: &[&str] = &["-algorithm", "ED25519"];
const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
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
