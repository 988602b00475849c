//! Many sessions at once, of different people: each reads its own, and each ends.
//!
//! What caches and proxies mix up shows only when several ask at the same time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use nightlatch_core::FailureClass;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Canary;
use super::client::{Answer, Client, Login, Shows};
use super::failure::Failure;
use super::journey::{LOOK_EVERY, NoLogin, REVOKED_WITHIN, SESSION, log_in, mixed};
use crate::config::ProblemLevel::Info;
use crate::doctor::finding::Finding;

/// How many there are.
pub(super) const SESSIONS: usize = 50;

/// How many log in at a time: each takes a processor for some time.
const LOGINS_AT_ONCE: usize = 4;

type Asked = Result<Answer, FailureClass>;

/// One finding: that it works, or what does not.
pub(super) async fn examine(client: &Arc<Client>, people: &[Arc<Canary>]) -> Finding {
    let mut logins = Vec::with_capacity(SESSIONS);
    let judged = match fill(client, people, &mut logins).await {
        Ok(()) => judge_reads(client, &logins).await,
        Err(failure) => Err(failure),
    };
    let ended = judge_ends(client, &logins).await;
    match judged.and_then(|slowest| ended.map(|()| slowest)) {
        Err(failure) => failure.into(),
        Ok(slowest) => {
            let millis = slowest.as_millis();
            let why = format!(
                "{SESSIONS} sessions at once: each read its own, the last within {millis} ms, and \
                 each was refused after its logout"
            );
            Finding::new("session-crowd", Info, why)
        }
    }
}

/// Logs all out, and sees them refused.
async fn judge_ends(client: &Arc<Client>, logins: &[Arc<Login>]) -> Result<(), Failure> {
    let ended = ask_all(client, logins, Method::POST, "/api/v1/auth/logout").await;
    let has_ended = |asked: &Asked| asked.as_ref().is_ok_and(|it| it.status == StatusCode::OK);
    if !ended.iter().all(has_ended) {
        let why = "many logouts at once: not every one was answered with 200";
        return Err(Failure::new("session-step-failed", why));
    }
    let taken = still_taken(client, logins).await;
    if taken == 0 {
        return Ok(());
    }
    let why = format!("{taken} of {SESSIONS} sessions are not refused after their logout");
    Err(Failure::new("session-not-revoked", why))
}

async fn fill(
    client: &Arc<Client>,
    people: &[Arc<Canary>],
    logins: &mut Vec<Arc<Login>>,
) -> Result<(), Failure> {
    while logins.len() < SESSIONS && !people.is_empty() {
        let missing = (SESSIONS - logins.len()).min(LOGINS_AT_ONCE);
        let who = (0..missing).map(|number| &people[(logins.len() + number) % people.len()]);
        let trying = who.map(|canary| {
            let (client, canary) = (Arc::clone(client), Arc::clone(canary));
            async move { log_in(&client, &canary).await }
        });
        let (mut failure, tried) = (None::<NoLogin>, at_once(trying).await);
        for result in tried {
            match result {
                Ok((login, _)) => logins.push(Arc::new(login)),
                Err(failed) => failure = Some(failed),
            }
        }
        if let Some(failure) = failure {
            return Err(failure.told("many logins"));
        }
    }
    Ok(())
}

/// How long the slowest took.
async fn judge_reads(client: &Arc<Client>, logins: &[Arc<Login>]) -> Result<Duration, Failure> {
    const WHAT: &str = "many reads at once";
    let failed = |what: String| Failure::new("session-step-failed", format!("{WHAT}: one {what}"));
    let mut slowest = Duration::ZERO;
    for (asked, login) in ask_all(client, logins, Method::GET, SESSION).await.iter().zip(logins) {
        let answer = match asked {
            Ok(answer) if answer.status == StatusCode::OK => answer,
            Ok(answer) => return Err(failed(format!("was answered {}", answer.said()))),
            Err(class) => return Err(failed(format!("had no answer ({class})"))),
        };
        if answer.body["session"]["id"] != *login.id {
            return Err(mixed(WHAT));
        }
        slowest = slowest.max(answer.took);
    }
    Ok(slowest)
}

/// How many are not refused although all nodes should know by now.
async fn still_taken(client: &Arc<Client>, logins: &[Arc<Login>]) -> usize {
    let began = Instant::now();
    loop {
        let asked = ask_all(client, logins, Method::GET, SESSION).await;
        let is_refused =
            |it: &Asked| it.as_ref().is_ok_and(|it| it.status == StatusCode::UNAUTHORIZED);
        let taken = asked.iter().filter(|it| !is_refused(it)).count();
        if taken == 0 || began.elapsed() >= REVOKED_WITHIN {
            return taken;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The same of all sessions at once; the answers in their order.
async fn ask_all(
    client: &Arc<Client>,
    logins: &[Arc<Login>],
    method: Method,
    path: &'static str,
) -> Vec<Asked> {
    let asking = logins.iter().map(|login| {
        let (client, login, method) = (Arc::clone(client), Arc::clone(login), method.clone());
        async move { client.send(method, path, &Shows::Cookie(&login), None).await }
    });
    at_once(asking).await
}

async fn at_once<T: Send + 'static>(
    all: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut tasks = JoinSet::new();
    for (number, one) in all.enumerate() {
        tasks.spawn(async move { (number, one.await) });
    }
    let mut done = tasks.join_all().await;
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}
