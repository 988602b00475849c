//! `doctor session` against a running server: what works is timed, what does not is named, and nobody and
//! nothing is left behind.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use nightlatch_testkit::installed::assert_installed;
use nightlatch_testkit::nginx::Nginx;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::NightlatchServer;
use nightlatch_testkit::wait::wait_until;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Verdict, judged};
use crate::person::{LIMIT, Person};
use crate::record::{Record, launch, on_each_record};

/// Runs it beside the server, with its configuration.
fn doctor(server: &NightlatchServer, arguments: &[&str], input: &str) -> Verdict {
    let arguments = [&["doctor", "session", "--json"], arguments].concat();
    judged(&server.command_given(&arguments, input))
}

fn count(server: &NightlatchServer, arguments: &[&str], members: &str) -> usize {
    let printed = server.command(arguments);
    let said: Value = serde_json::from_str(&printed).expect("it is JSON");
    said[members].as_array().expect("a list").len()
}

async fn two_people_are_made_tried_and_removed(record: Record) {
    let stand = record.serve().await;
    let server = &stand.server;
    Person::logged_in(server, "alice").await;
    let found = doctor(server, &["--url", &server.origin()], "");
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:#?}", found.findings);
    let steps = found.find("session-steps")["text"].as_str().expect("a text").to_owned();
    for step in [
        "log in ",
        "read the session",
        "list the sessions",
        "revoke the other one",
        "refused after it was revoked",
        "get tokens",
        "read by access token",
        "open a WebSocket",
        "a WebSocket hears of it",
        "a WebSocket hears of the logout",
        "refresh ",
        "revoke the tokens",
        "log out",
        "refused after the logout",
    ] {
        assert!(steps.contains(step), "{step}: {steps}");
    }
    let crowd = found.find("session-crowd")["why"].as_str().expect("a text");
    assert!(crowd.contains("50 sessions at once: each read its own"), "{crowd}");
    assert_eq!(count(server, &["user", "list", "--json"], "users"), 1);
    assert_eq!(count(server, &["session", "list", "--json"], "sessions"), 1);
}

on_each_record!(two_people_are_made_tried_and_removed);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_is_there_keeps_the_sessions_that_were_there() {
    let server = launch().ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    let url = server.origin();
    let arguments = ["--url", url.as_str(), "--user", "alice"];
    let found = doctor(&server, &arguments, &format!("{}\n", alice.password));
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:#?}", found.findings);
    assert_eq!(count(&server, &["session", "list", "--json"], "sessions"), 1);
    assert_eq!(alice.client.get("/api/v1/session").await.status, 200);
    let found = doctor(&server, &arguments, "sesame-is-not-it\n");
    assert_eq!((found.wrong(), found.code), (vec!["session-login-failed"], Some(1)));
    let why = found.find("session-login-failed")["why"].clone();
    let told = "log in: answered 401 invalid_credentials: the password is wrong, or nobody is called \
                so in that server's database";
    assert_eq!(why, json!(told));
    assert!(found.findings.iter().all(|finding| finding["id"] != "session-steps"), "none worked");
}

/// `script` is the terminal, at which the password is typed beforehand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_the_password_is_asked_for() {
    assert_installed(Command::new("script").arg("--version"), "bsdutils");
    let server = launch().ready().await;
    let alice = Person::logged_in(&server, "alice").await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let binary = env!("CARGO_BIN_EXE_nightlatch");
    let words = format!("{binary} doctor session --url {} --user alice", server.origin());
    let mut script = Command::new("script");
    script.args(["-qec", &words, "/dev/null"]).env_clear().current_dir(folder.path());
    let child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("it starts");
    let typed = format!("{}\n", alice.password);
    let terminal = child.stdin.as_mut().expect("it is piped");
    terminal.write_all(typed.as_bytes()).expect("it listens");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("Password of alice: "), "{said}");
    assert!(said.contains("[session-crowd]"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_somebody_else_and_what_mixes_up_answers_are_named() {
    let server = launch().ready().await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let redis = RedisServer::launch();
    let other = format!("http://127.0.0.1:{}", redis.port());
    for (url, id) in [(nobody, "server-unreachable"), (other, "server-unreachable")] {
        assert_eq!(doctor(&server, &["--url", &url], "").wrong(), [id], "{url}");
    }
    let nginx = Nginx::caching_for_everybody(server.address().port());
    let url = format!("http://127.0.0.1:{}", nginx.port());
    let found = doctor(&server, &["--url", &url], "");
    assert_eq!(found.wrong(), ["session-mixed", "session-not-revoked"], "{:#?}", found.findings);
    assert_eq!(count(&server, &["user", "list", "--json"], "users"), 0);
}

/// As nginx is set up by who has not thought of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_passes_no_websockets_on_is_named() {
    let server = launch().ready().await;
    let doctor = |url: &str| {
        let arguments = ["doctor", "websocket", "--json", "--url", url];
        judged(&server.command_given(&arguments, ""))
    };
    let found = doctor(&server.origin());
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:#?}", found.findings);
    let steps = found.find("session-steps")["text"].to_string();
    assert!(steps.contains("a WebSocket hears of it") && !steps.contains("refresh"), "{steps}");
    let nginx = Nginx::caching_for_everybody(server.address().port());
    let found = doctor(&format!("http://127.0.0.1:{}", nginx.port()));
    assert_eq!(found.wrong(), ["socket-refused"], "{:#?}", found.findings);
    assert!(found.find("socket-refused")["why"].to_string().contains("Upgrade"));
    assert_eq!(count(&server, &["user", "list", "--json"], "users"), 0);
}

/// As an operator's Ctrl-C, or a job that takes too long, may do at any moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_examination_that_is_ended_early_leaves_nobody_behind() {
    let server = launch().ready().await;
    // The examination waits for somebody who takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", silent.local_addr().expect("it is bound"));
    let users = || count(&server, &["user", "list", "--json"], "users");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let examination = server.command_begun(&["doctor", "session", "--url", &url]);
        wait_until("somebody is made", LIMIT, async || users() > 0).await;
        examination.signal(signal);
        assert!(examination.exit_within(LIMIT).is_some_and(|status| status.code() == Some(1)));
        assert_eq!(users(), 0, "{signal:?}");
    }
}
