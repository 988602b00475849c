//! `doctor session`: people's sessions against a running server, from the login to the refusal.
//!
//! Over HTTP alone, as an application would: that each part is well says little about the whole.

mod client;
mod crowd;
mod failure;
mod journey;

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::Secret;
use tokio::time::timeout;

use self::client::Client;
use self::failure::Failure;
use self::journey::{Journey, Seen};
use super::finding::Finding;
use crate::config::ProblemLevel::Info;
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

/// Sends them through. What they leave behind ends again.
pub async fn examine_session(
    origin: &WebOrigin,
    people: &[Arc<Canary>],
    tell: &mut dyn FnMut(&str),
) -> Vec<Finding> {
    let at = format!("{}://{}:{}", origin.scheme().as_str(), origin.host(), origin.port());
    let client = match Client::new(origin) {
        Ok(client) => Arc::new(client),
        Err(why) => return vec![Failure::new("session-unreachable", why).into()],
    };
    tell(&format!("{at}: is it there?"));
    if let Err(failure) = is_there(&client, &at).await {
        return vec![failure.into()];
    }
    let mut findings = Vec::new();
    for (number, canary) in people.iter().enumerate() {
        tell(&format!("{at}: the sessions of person {} of {}", number + 1, people.len()));
        let mut journey = Journey::new(&client, canary);
        let walked = timeout(JOURNEY_LIMIT, journey.walk()).await;
        let failed = walked.unwrap_or_else(|_| Err(took_too_long("one person"))).err();
        findings.extend(failed.map(Finding::from));
        journey.clean_up().await;
        findings.push(described(&at, &journey));
    }
    if findings.iter().all(|finding| finding.level == Info) {
        tell(&format!("{at}: {} sessions at once", crowd::SESSIONS));
        let crowded = timeout(CROWD_LIMIT, crowd::examine(&client, people)).await;
        findings.push(crowded.unwrap_or_else(|_| took_too_long("all at once").into()));
    }
    findings
}

/// Whether a Nightlatch answers there, and can serve.
async fn is_there(client: &Client, at: &str) -> Result<(), Failure> {
    let unreachable = |class| {
        let why =
            format!("{at} cannot be used ({class}): is the server running, is this its address?");
        Failure::new("session-unreachable", why)
    };
    let health = client.get("/health").await.map_err(unreachable)?;
    let status = health.body["status"].as_str();
    match status {
        Some("healthy" | "degraded") => Ok(()),
        Some("unhealthy") => {
            let class = health.body["database_class"].as_str().unwrap_or("unknown").to_owned();
            let why = format!("{at} can serve no login now: its database fails ({class})");
            Err(Failure::new("session-unhealthy", why))
        }
        _ => {
            let why = format!(
                "{at} answers {} to /health and is no Nightlatch: another service listens there, or \
                 a proxy answers in its place",
                health.status
            );
            Err(Failure::new("session-not-nightlatch", why))
        }
    }
}

fn took_too_long(what: &str) -> Failure {
    let why = format!("the way of {what} took longer than it may, so it was ended");
    Failure::new("session-slow", why)
}

/// What worked, and how long it took.
fn described(at: &str, journey: &Journey<'_>) -> Finding {
    let steps: Vec<String> = journey.steps().iter().map(Seen::to_string).collect();
    let why = format!("at {at} worked: {} steps", steps.len());
    Finding { text: Some(steps.join(", ")), ..Finding::new("session-steps", Info, why) }
}
