//! `doctor session`: people's sessions against a running server, from the login to the refusal.
//!
//! Over HTTP alone, as an application would: that each part is well says little about the whole.

mod client;
mod crowd;
mod failure;
mod journey;
mod socket;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::Secret;
use serde_json::Value;
use tokio::time::timeout;

use self::client::Client;
use self::failure::Failure;
use self::journey::{Journey, Seen};
use super::finding::Finding;
use crate::config::ProblemLevel::{Info, Warn};
use crate::config::WebOrigin;

/// How long one person's way may take in all, and how long that of all sessions at once.
const JOURNEY_LIMIT: Duration = Duration::from_mins(1);
const CROWD_LIMIT: Duration = Duration::from_mins(3);

/// Somebody who logs in for the test.
pub struct Canary {
    /// By the name or e-mail address to log in with.
    pub name: String,
    /// And this.
    pub password: Secret<String>,
}

/// What of sessions is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// All that applications use, and many at once.
    All,
    /// That sockets hear of the end.
    Sockets,
}

/// Sends them through. What they leave behind ends again.
pub async fn examine_session(
    origin: &WebOrigin,
    people: &[Arc<Canary>],
    parts: Parts,
    tell: &mut dyn FnMut(&str),
) -> Vec<Finding> {
    let at = shown(origin);
    tell(&format!("{at}: is it there?"));
    let client = match reach(origin).await {
        Ok((client, _)) => client,
        Err(failure) => return vec![failure.into()],
    };
    let mut findings = Vec::new();
    for (number, canary) in people.iter().enumerate() {
        tell(&format!("{at}: the sessions of person {} of {}", number + 1, people.len()));
        let mut journey = Journey::new(&client, canary);
        let walked = timeout(JOURNEY_LIMIT, journey.walk(parts)).await;
        let failed = walked.unwrap_or_else(|_| Err(took_too_long("one person"))).err();
        findings.extend(failed.map(Finding::from));
        journey.clean_up().await;
        findings.extend(described(&at, &journey));
    }
    if parts == Parts::All && findings.iter().all(|finding| finding.level == Info) {
        tell(&format!("{at}: {} sessions at once", crowd::SESSIONS));
        let crowded = timeout(CROWD_LIMIT, crowd::examine(&client, people)).await;
        findings.push(crowded.unwrap_or_else(|_| took_too_long("all at once").into()));
    }
    findings
}

/// Whether a server runs there that can serve logins: what its health says.
pub async fn examine_server(origin: &WebOrigin, tell: &mut dyn FnMut(&str)) -> Finding {
    let at = shown(origin);
    tell(&format!("{at}: how is it?"));
    match reach(origin).await {
        Err(failure) => failure.into(),
        Ok((_, health)) => {
            let word = |name: &str| health[name].as_str().unwrap_or("unknown").to_owned();
            let why = format!(
                "the server at {at} says that it is {}: database {}, Redis {}, auth service {}",
                word("status"),
                word("database"),
                word("cache"),
                word("auth_service"),
            );
            if health["status"] == "healthy" {
                return Finding::new("server-healthy", Info, why);
            }
            let why = with_findings(why, &health);
            Finding::new("server-degraded", Warn, why)
        }
    }
}

/// And what a server outside production finds about itself, with what to try.
fn with_findings(why: String, health: &Value) -> String {
    let findings = health["findings"].as_array().map_or(&[][..], Vec::as_slice);
    let told = findings.iter().filter_map(|finding| {
        let id = finding["id"].as_str()?;
        let fix = finding["fix"].as_str().map(|fix| format!(": {fix}")).unwrap_or_default();
        Some(format!("{id}{fix}"))
    });
    [why].into_iter().chain(told).collect::<Vec<_>>().join("; ")
}

/// A Nightlatch that can serve, and its health.
async fn reach(origin: &WebOrigin) -> Result<(Arc<Client>, Value), Failure> {
    let at = shown(origin);
    let client = Client::new(origin).map_err(|why| Failure::new("server-unreachable", why))?;
    let health = client.get("/health").await.map_err(|class| {
        let why =
            format!("{at} cannot be used ({class}): is the server running, is this its address?");
        Failure::new("server-unreachable", why)
    })?;
    match health.body["status"].as_str() {
        Some("healthy" | "degraded") => Ok((Arc::new(client), health.body)),
        Some("unhealthy") => {
            let class = health.body["database_class"].as_str().unwrap_or("unknown");
            let why = format!("{at} can serve no login now: its database fails ({class})");
            let why = with_findings(why, &health.body);
            Err(Failure::new("server-unhealthy", why))
        }
        _ => {
            let why = format!(
                "{at} answers {} to /health and is no Nightlatch: another service listens there, or \
                 a proxy answers in its place",
                health.status.as_u16()
            );
            Err(Failure::new("server-not-nightlatch", why))
        }
    }
}

fn shown(origin: &WebOrigin) -> String {
    format!("{}://{}:{}", origin.scheme().as_str(), origin.host(), origin.port())
}

fn took_too_long(what: &str) -> Failure {
    let why = format!("the way of {what} took longer than it may, so it was ended");
    Failure::new("session-slow", why)
}

/// What worked, and how long it took.
fn described(at: &str, journey: &Journey<'_>) -> Option<Finding> {
    let steps: Vec<String> = journey.steps().iter().map(Seen::to_string).collect();
    let why = format!("at {at} worked: {} steps", steps.len());
    let finding =
        Finding { text: Some(steps.join(", ")), ..Finding::new("session-steps", Info, why) };
    (!steps.is_empty()).then_some(finding)
}
