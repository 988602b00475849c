//! The incidents that Nightlatch was made after, replayed: one test each, named after it.
//!
//! Each is looked at by everybody whom it concerned: who logs in, who operates it (log and health), and
//! then what the metrics tell, which alerts fire on exactly that, and what `nightlatch doctor` says.

mod auth_service_refuses;
mod noauth_after_a_restart;
mod redis_dies;
mod refresh_without_redis;
mod wrong_env_file;

use nightlatch_testkit::client::Answer;
use nightlatch_testkit::server::NightlatchServer;
use nightlatch_testkit::wait::wait_until;
use serde_json::Value;

use crate::doctor::{Verdict, judged};
use crate::metrics::scrape::Scrape;
use crate::person::LIMIT;

/// The lines of the log that tell of this event.
fn lines(server: &NightlatchServer, event: &str) -> Vec<Value> {
    let log = server.log();
    let lines = log.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    lines.filter(|line: &Value| line["event"] == event).collect()
}

/// The line of a request, which is written behind its answer.
async fn line_of(server: &NightlatchServer, answer: &Answer) -> Value {
    let id = answer.header("x-request-id").expect("each answer has one");
    let find = || {
        let mut requests = lines(server, "http.request");
        requests.retain(|line| line["request_id"] == id);
        requests.pop()
    };
    wait_until("the request is logged", LIMIT, async || find().is_some()).await;
    find().expect("it was there")
}

/// The last line that tells that a dependency fails. There are as few as there are ways in which it failed.
fn told_down(server: &NightlatchServer, dependency: &str) -> Value {
    let mut told = lines(server, "dependency.down");
    told.retain(|line| line["dependency"] == dependency);
    assert!((1..=2).contains(&told.len()), "a line for each change: {told:#?}");
    told.pop().expect("there is one")
}

/// Waits until the log has told how it fails by now, since changes within seconds become one line.
async fn is_told_down(server: &NightlatchServer, dependency: &str, class: &str) -> Value {
    wait_until(class, LIMIT, async || {
        let told = lines(server, "dependency.down");
        told.iter().any(|line| line["dependency"] == dependency && line["class"] == class)
    })
    .await;
    told_down(server, dependency)
}

async fn health(server: &NightlatchServer) -> Value {
    let answer = server.client().get("/health").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn becomes_healthy(server: &NightlatchServer) {
    let what = "it is healthy again";
    wait_until(what, LIMIT, async || health(server).await["status"] == "healthy").await;
}

/// No request was answered 500, at whatever endpoint.
async fn nobody_was_answered_500(server: &NightlatchServer) {
    let told = Scrape::of(&mut server.client()).await;
    for series in told.series.iter().filter(|it| it.name == "nightlatch_http_requests_total") {
        let is_500 = series.labels.contains(&("status".to_owned(), "500".to_owned()));
        assert!(!is_500 || series.value == 0.0, "{series:?}");
    }
    assert!(lines(server, "request.bug").is_empty(), "{}", server.log());
}

/// What `nightlatch doctor` finds with the configuration of the server.
fn doctor(server: &NightlatchServer, arguments: &[&str]) -> Verdict {
    let arguments = [&["doctor"], arguments, &["--json"]].concat();
    judged(&server.command_given(&arguments, ""))
}

/// The text of a member of a finding.
fn says<'a>(verdict: &'a Verdict, id: &str, member: &str) -> &'a str {
    verdict.find(id)[member].as_str().unwrap_or_else(|| panic!("{:#?}", verdict.findings))
}
