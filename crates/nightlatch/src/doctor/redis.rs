//! `doctor redis`: visits each Redis that the settings lead to, and says why it cannot be used, or how
//! well it can.
//!
//! What a URL says wrong is told before anybody is asked. A password goes only to the host and over the
//! transport that are configured; whatever else is tried is tried without.

mod attempt;
mod latency;
mod refusal;
mod state;
mod subject;

use std::time::Duration;

use futures_util::future::join_all;
use nightlatch_core::FailureClass;
use nightlatch_store::redis::RedisAddress;
use nightlatch_store::redis::inspect::{Reached, RedisRefusal, RedisVisit};

use tokio::time::timeout;

use self::subject::Subject;
use super::env::at;
use super::finding::Finding;
use super::machine::Machine;
use super::redis_settings;
use super::shown::{is_host, place};
use super::sources::Sources;
use super::written::Last;
use crate::app::inspector;
use crate::config::ProblemLevel::{Error, Info};

/// The most that are visited, the likeliest first.
const VISITED_MAX: usize = 8;

/// How long one may be visited in all.
const SUBJECT_LIMIT: Duration = Duration::from_secs(30);

/// The findings of a server that lets others wait.
const SILENT: [&str; 2] = ["redis-hangs", "redis-no-answer"];

/// How many questions the latency is measured by.
const ROUND_TRIPS: usize = 100;

/// Visits them all. `tell` hears what is being done.
pub async fn examine_redis(
    sources: &Sources,
    mark: u64,
    tell: &mut dyn FnMut(&str),
) -> Vec<Finding> {
    let (subjects, mut findings) = subject::find(sources);
    let last = Last::of(&sources.written);
    let apart = redis_settings::examine(&last).into_iter().map(|(written, it)| at(written, it));
    findings.extend(apart.filter(|finding| finding.level == Error));
    findings.extend(sources.of_file.iter().filter(|finding| finding.level == Error).cloned());
    if subjects.is_empty() && findings.is_empty() {
        let why = if sources.is_ours() {
            "no Redis is configured: Nightlatch runs without one"
        } else {
            "nothing here leads to a Redis: REDIS_URL, REDIS_HOST and the like are not set"
        };
        findings.push(Finding::new("redis-none", Info, why));
    }
    if let Some(first) = subjects.get(VISITED_MAX) {
        let why = format!(
            "and {} more are not visited: the first {VISITED_MAX} are",
            subjects.len() - VISITED_MAX - 1
        );
        findings.push(first.told(Finding::new("redis-not-visited", Info, why)));
    }
    let visited = &subjects[..subjects.len().min(VISITED_MAX)];
    for subject in visited {
        tell(&format!("{}: visiting {}", subject.name, subject.shown()));
    }
    // One that hangs keeps nobody waiting who asks about another.
    let servers = by_server(visited);
    let visits = servers.iter().map(|all| visit_in_turn(all, mark, &sources.machine));
    findings.extend(join_all(visits).await.into_iter().flatten());
    findings
}

/// Those that lead to the same server together, in their order.
fn by_server(subjects: &[Subject]) -> Vec<Vec<&Subject>> {
    let mut servers = Vec::<Vec<&Subject>>::new();
    for subject in subjects {
        let is_same = |others: &&mut Vec<&Subject>| {
            others.iter().any(|it| it.config.address == subject.config.address)
        };
        match servers.iter_mut().find(is_same) {
            Some(others) => others.push(subject),
            None => servers.push(vec![subject]),
        }
    }
    servers
}

/// One after the other. What has said nothing is not waited for again.
async fn visit_in_turn(subjects: &[&Subject], mark: u64, machine: &Machine) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut silent: Option<(&Subject, &'static str)> = None;
    for subject in subjects {
        if let Some((earlier, id)) = silent
            && earlier.config.tls == subject.config.tls
        {
            let why = format!("leads to the server of {}, which says nothing", earlier.name);
            findings.push(subject.told(Finding::new(id, Error, why)));
            continue;
        }
        let found = timeout(SUBJECT_LIMIT, examine_one(subject, mark, machine)).await;
        let found = found.unwrap_or_else(|_| vec![took_too_long()]);
        let silence = found.iter().find(|finding| SILENT.contains(&finding.id));
        silent = silence.map(|finding| (*subject, finding.id)).or(silent);
        findings.extend(found.into_iter().map(|finding| subject.told(finding)));
    }
    findings
}

fn took_too_long() -> Finding {
    let limit = SUBJECT_LIMIT.as_secs();
    let why = format!("answers so late that it was left after {limit} s");
    Finding::new("redis-hangs", Error, why)
}

/// Whether every host is one: anything else may be a password that was pasted into its place.
fn has_hosts(address: &RedisAddress) -> bool {
    match address {
        RedisAddress::Tcp { host, .. } => is_host(host),
        RedisAddress::Unix(_) => true,
        RedisAddress::Sentinel { sentinels: hosts, .. } | RedisAddress::Cluster(hosts) => {
            hosts.iter().all(|(host, _)| is_host(host))
        }
    }
}

async fn examine_one(subject: &Subject, mark: u64, machine: &Machine) -> Vec<Finding> {
    if !has_hosts(&subject.config.address) {
        let why = "names a host that is none: is an @ encoded that should stand as it is?";
        return vec![Finding::new("redis-url-unreadable", Error, why)];
    }
    let inspector = match inspector(&subject.config) {
        Ok(inspector) => inspector,
        Err(error) => {
            let why = format!("cannot even be tried: {error}");
            return vec![Finding::new("redis-options", Error, why)];
        }
    };
    let reached = inspector.reach().await;
    let mut findings = unreached(&reached);
    let visit = if !reached.is_empty() && findings.len() == reached.len() {
        let class = reached[0].outcome.as_ref().err().copied();
        let class = class.unwrap_or(FailureClass::Unreachable);
        findings.clear();
        Err(RedisRefusal { class, cause: None })
    } else {
        inspector.visit().await
    };
    match visit {
        Ok(visit) => findings.extend(examine_visit(subject, &visit, mark).await),
        Err(refused) => {
            let mut finding = refusal::explain(subject, &inspector, &reached, refused).await;
            if let Some((host, _)) = server(&subject.config.address)
                && refused.class == FailureClass::Unreachable
            {
                finding.why.push_str(machine.remark(host));
            }
            if let Some(told) = told_by_sentinel(subject, refused).await {
                finding = told;
            } else if let Some(found) = attempt::search(subject, refused).await {
                finding = found.add_to(finding);
            } else if finding.fix.is_none() {
                finding.fix = refusal::line(subject, refused.class);
            }
            findings.push(finding);
        }
    }
    findings
}

/// A Sentinel has no databases, so that one is named is all that it hears before it is known.
async fn told_by_sentinel(subject: &Subject, refused: RedisRefusal) -> Option<Finding> {
    let is_asked = refused.class == FailureClass::Protocol && subject.config.database > 0;
    let mut config = subject.config.clone();
    config.database = 0;
    let visit = if is_asked { inspector(&config).ok()?.visit().await.ok()? } else { return None };
    let state = visit.state().await;
    if state.is_sentinel() { state::judge(subject, &state).into_iter().next() } else { None }
}

async fn examine_visit(subject: &Subject, visit: &RedisVisit, mark: u64) -> Vec<Finding> {
    let state = visit.state().await;
    let mut findings = state::judge(subject, &state);
    // A Sentinel keeps nothing; what a server has said of itself is why it refuses others.
    if !state.is_sentinel() {
        let needs = state::judge_needs(subject, &visit.unmet_needs(mark).await);
        let is_known = |need: &Finding| findings.iter().any(|known| known.id == need.id);
        findings.extend(needs.filter(|need| !is_known(need)));
        let keeping = state::judge_keeping(subject, &state);
        let is_known = |one: &Finding| findings.iter().any(|known| known.id == one.id);
        let keeping: Vec<Finding> = keeping.into_iter().filter(|one| !is_known(one)).collect();
        findings.extend(keeping);
    }
    findings.extend(attempt::without_password(subject, mark).await);
    findings.push(latency::judge(subject, &state, visit.round_trips(ROUND_TRIPS).await));
    findings
}

/// Of several, those that do not answer: the others may do.
fn unreached(reached: &[Reached]) -> Vec<Finding> {
    let failed =
        reached.iter().filter_map(|one| one.outcome.as_ref().err().map(|class| (one, class)));
    let of_one = |(one, class): (&Reached, &FailureClass)| {
        let why = format!("names {}, which does not answer ({class})", place(&one.host, one.port));
        Finding::new("redis-one-unreachable", crate::config::ProblemLevel::Warn, why)
    };
    failed.map(of_one).collect()
}

/// The host and port, if it is one server.
fn server(address: &RedisAddress) -> Option<(&str, u16)> {
    match address {
        RedisAddress::Tcp { host, port } => Some((host, *port)),
        RedisAddress::Unix(_) | RedisAddress::Sentinel { .. } | RedisAddress::Cluster(_) => None,
    }
}
