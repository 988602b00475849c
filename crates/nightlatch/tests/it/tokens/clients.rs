//! A service that verifies access tokens with a library of its own, by the published keys. Whole services
//! are in `examples/`.

use std::path::PathBuf;
use std::process::{Command, Output};

use nightlatch_testkit::server::NightlatchServer;
use serde_json::Value;

use super::ApiClient;
use crate::person::Person;
use crate::record::launch;

/// What `iss` is where no `PUBLIC_URL` is set.
const ISSUER: &str = "http://localhost";

/// Runs the script of another language beside a server.
fn run(server: &NightlatchServer, token: &str) -> Output {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/tokens/clients");
    let done = Command::new("/usr/bin/python3")
        .arg(folder.join("pyjwt.py"))
        .args([&server.origin(), ISSUER, token])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output();
    done.unwrap_or_else(|error| panic!("python3: {error} (see PACKAGES in ./test)"))
}

pub(crate) fn forged(token: &str) -> String {
    let (said, signature) = token.rsplit_once('.').expect("three parts");
    let (head, tail) = signature.split_at(10);
    let other = if tail.starts_with('A') { 'B' } else { 'A' };
    format!("{said}.{head}{other}{}", &tail[1..])
}

/// Debian's package python3-jwt. What Node's jose says is seen in `examples/express`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_library_of_another_language_verifies_access_tokens() {
    let server = launch().ready().await;
    Person::registered(&server, "alice").await;
    let api = ApiClient::logged_in(&server, "alice").await;
    let done = run(&server, &api.access);
    let told = String::from_utf8_lossy(&done.stderr);
    let claims: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{told}"));
    assert_eq!(claims, api.claims());
    let refused = run(&server, &forged(&api.access));
    assert!(!refused.status.success() && refused.stdout.is_empty());
}
