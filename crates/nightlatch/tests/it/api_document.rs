//! The API document against the server: schemathesis asks for what it says, and for what it does not.
//!
//! Whatever it makes up, no answer may be a server error, of a status that the document does not name, or
//! of another shape; what needs a session is refused without one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nightlatch_testkit::server::{Launch, NightlatchServer};
use serde_json::{Value, json};

use crate::record::launch;

/// Requests of each operation that are made up at random, beside those that follow from its schema.
const EXAMPLES: &str = "8";

/// The example of the document.
const PASSWORD: &str = "correct horse battery staple";

/// Where `./test` puts it.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a program knows its path");
    let target = test.ancestors().nth(3).expect("target/PROFILE/deps/test");
    let program = target.join("schemathesis/bin/schemathesis");
    assert!(
        program.exists(),
        "{} is not there: `./test python` installs it (PyPI package `schemathesis`, Debian package `python3-venv`)",
        program.display()
    );
    program
}

/// The cookie has the document's name only in production.
fn in_production() -> Launch {
    launch().in_production().set("DISABLE_THROTTLING", "true")
}

/// What came of it.
struct Tried {
    is_well: bool,
    said: String,
    /// Method, path and status of each answer, a line each.
    seen: String,
}

/// Has a document tried by somebody.
fn run(server: &NightlatchServer, who: &str, arguments: &[&str]) -> Tried {
    let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/api_document");
    // It keeps notes where it runs.
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    for name in ["hooks.py", "schemathesis.toml"] {
        fs::copy(ours.join(name), folder.path().join(name)).expect("our folder takes a file");
    }
    let mut command = Command::new(program());
    command
        .args(["--config-file", "schemathesis.toml", "run", "--url", &server.origin()])
        .args(["--checks", "all", "--mode", "all", "--max-examples", EXAMPLES])
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure"])
        .args(arguments)
        .envs([("WHO", who), ("SERVER", &server.origin()), ("PYTHONDONTWRITEBYTECODE", "1")])
        .env("SEEN", folder.path().join("seen"))
        .current_dir(folder.path());
    let done = tokio::task::block_in_place(|| command.output()).expect("it runs");
    let said = [done.stdout, done.stderr].concat();
    Tried {
        is_well: done.status.success(),
        said: String::from_utf8_lossy(&said).into_owned(),
        seen: fs::read_to_string(folder.path().join("seen")).expect("answers were seen"),
    }
}

/// Has the whole document tried, and says which operations never succeeded.
async fn try_all(server: &NightlatchServer, who: &str) -> Vec<String> {
    let path = "/api/openapi.json";
    let Tried { is_well, said, seen } = run(server, who, &[&format!("{}{path}", server.origin())]);
    assert!(is_well, "{said}");
    let all = operations_of(&server.client().get(path).await.json());
    let count = all.len();
    assert!(said.contains(&format!("Tested: {count}\n")), "not all of {count}: {said}");
    let succeeded =
        |operation: &String| seen.lines().any(|line| line.starts_with(&format!("{operation} 2")));
    all.into_iter().filter(|operation| !succeeded(operation)).collect()
}

/// `POST /api/v1/auth/login`
fn operations_of(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().expect("the document has paths");
    let of = |(path, item): (&String, &Value)| {
        let methods = item.as_object().expect("operations").keys();
        methods.map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

/// A WebSocket: a plain request has no success there.
const NEVER: [&str; 1] = ["GET /api/v1/session/events"];

async fn register(server: &NightlatchServer) {
    let body = json!({ "username": "alice", "password": PASSWORD });
    let answer = server.client().post_json("/api/v1/auth/register", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_answered_as_the_document_says() {
    let server = launch().set("DISABLE_THROTTLING", "true").ready().await;
    try_all(&server, "stranger").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_with_a_session_is_answered_as_the_document_says() {
    let server = in_production().ready().await;
    register(&server).await;
    assert_eq!(try_all(&server, "browser").await, NEVER, "each of the others succeeds once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_with_a_token_is_answered_as_the_document_says() {
    let server = in_production().ready().await;
    register(&server).await;
    assert_eq!(try_all(&server, "program").await, NEVER, "each of the others succeeds once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_the_document_lacks_is_found() {
    let server = launch().set("DISABLE_THROTTLING", "true").ready().await;
    let mut document = server.client().get("/api/openapi.json").await.json();
    let path = "/api/v1/auth/register";
    let responses = document["paths"][path]["post"]["responses"].as_object_mut();
    responses.expect("it has answers").remove("422").expect("it is documented");
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let file = folder.path().join("document.json");
    fs::write(&file, document.to_string()).expect("our folder takes a file");
    let file = file.to_str().expect("a plain name");
    let Tried { is_well, said, .. } = run(&server, "stranger", &[file, "--include-path", path]);
    assert!(!is_well && said.contains("Undocumented status code"), "{said}");
}
