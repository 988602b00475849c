//! Services that verify access tokens with libraries of their own, by the published keys.

use std::path::PathBuf;
use std::process::{Command, Output};

use nightlatch_testkit::server::NightlatchServer;
use serde_json::Value;

use super::ApiClient;
use super::keys::{P256, private_key};
use crate::person::Person;
use crate::record::launch;

/// What `iss` is where no `PUBLIC_URL` is set.
const ISSUER: &str = "http://localhost";

/// Runs a program of another language beside a server.
fn run(program: &[&str], script: &str, server: &NightlatchServer, tokens: &[&str]) -> Output {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/tokens/clients");
    let (program, arguments) = program.split_first().expect("a program");
    let done = Command::new(program)
        .args(arguments)
        .arg(folder.join(script))
        .args([&server.origin(), ISSUER])
        .args(tokens)
        // Where Debian puts libraries, for a Node of anybody's.
        .env("NODE_PATH", "/usr/share/nodejs")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output();
    done.unwrap_or_else(|error| panic!("{program}: {error} (see PACKAGES in ./test)"))
}

fn lines(done: &Output) -> Vec<Value> {
    let told = String::from_utf8_lossy(&done.stderr);
    let lines = std::str::from_utf8(&done.stdout).expect("JSON is text").lines();
    let lines: Vec<_> = lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!lines.is_empty(), "{told}");
    lines
}

fn forged(token: &str) -> String {
    let (said, signature) = token.rsplit_once('.').expect("three parts");
    let (head, tail) = signature.split_at(10);
    let other = if tail.starts_with('A') { 'B' } else { 'A' };
    format!("{said}.{head}{other}{}", &tail[1..])
}

/// Debian's packages python3-jwt and node-jose.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libraries_of_other_languages_verify_access_tokens() {
    let server = launch().ready().await;
    Person::registered(&server, "alice").await;
    let api = ApiClient::logged_in(&server, "alice").await;
    for (program, script) in [(&["/usr/bin/python3"][..], "pyjwt.py"), (&["node"], "jose.cjs")] {
        let done = run(program, script, &server, &[&api.access]);
        assert_eq!(lines(&done), [api.claims()], "{script}");
        let refused = run(program, script, &server, &[&forged(&api.access)]);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{script}");
    }
}

/// djangorestframework-simplejwt at its defaults but for algorithm, keys, audience and issuer. Debian's
/// knows no `EdDSA` yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rest_api_of_django_takes_access_tokens_and_no_others() {
    let server = launch().set("JWT_PRIVATE_KEY", &private_key(P256)).ready().await;
    Person::registered(&server, "alice").await;
    let api = ApiClient::logged_in(&server, "alice").await;
    let tokens = [&api.access, &forged(&api.access), &api.refresh];
    let tokens = tokens.map(String::as_str);
    let told = lines(&run(&["/usr/bin/python3"], "django_api.py", &server, &tokens));
    let statuses: Vec<_> = told.iter().map(|told| told["status"].clone()).collect();
    assert_eq!(statuses, [200, 401, 401]);
    assert_eq!(told[0]["id"], api.claims()["sub"]);
}
