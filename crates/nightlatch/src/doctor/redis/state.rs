//! What a Redis that answers says of itself, judged.
//!
//! That it answers says little: writes may fail already, or will as soon as its memory ends.

use nightlatch_core::FailureClass as Class;
use nightlatch_store::redis::RedisAddress;
use nightlatch_store::redis::inspect::{Lack, RedisState, Unmet};

use super::super::finding::Finding;
use super::super::redis_urls::Role;
use super::super::shown::{is_host, place};
use super::server;
use super::subject::Subject;
use crate::config::ProblemLevel::{self, Error, Info, Warn};
use crate::config::redis_url::RedisUrl;

/// The least version that is maintained by anybody.
const MAJOR_MIN: u32 = 6;

/// What of a limit may be taken before it is told, in percent.
const TAKEN_MAX: u64 = 90;

/// What it says of itself.
pub(super) fn judge(subject: &Subject, state: &RedisState) -> Vec<Finding> {
    let found = [
        of_mode(subject, state),
        of_role(subject, state),
        of_memory(state),
        of_clients(state),
        of_version(state),
    ];
    found.into_iter().flatten().collect()
}

fn of_mode(subject: &Subject, state: &RedisState) -> Option<Finding> {
    match (state.mode.as_deref(), &subject.config.address) {
        (Some("sentinel"), RedisAddress::Tcp { .. }) => {
            let why = "leads to a Sentinel, which knows where Redis is and is none";
            let name = state.watched.first().filter(|name| is_host(name));
            let name = name.map_or("mymaster", String::as_str);
            let finding = Finding::new("redis-is-sentinel", Error, why);
            Some(Finding { fix: otherwise(subject, "sentinel", &format!("/{name}")), ..finding })
        }
        (Some("cluster"), RedisAddress::Tcp { .. }) => {
            let why = "leads to one server of a Cluster, which has only some of the keys";
            let finding = Finding::new("redis-is-cluster", Error, why);
            Some(Finding { fix: otherwise(subject, "cluster", ""), ..finding })
        }
        (Some("standalone"), RedisAddress::Cluster(_)) => {
            let why = "is written for a Cluster, and the server is none";
            Some(Finding::new("redis-is-no-cluster", Error, why))
        }
        (_, RedisAddress::Cluster(_)) if state.is_cluster_whole == Some(false) => {
            let why = "leads to a Cluster that is not whole: some keys are served by nobody";
            Some(Finding::new("redis-cluster-down", Error, why))
        }
        _ => None,
    }
}

/// The line in a notation of ours. Over TLS more would have to be said, and elsewhere it is another.
fn otherwise(subject: &Subject, kind: &str, path: &str) -> Option<String> {
    let (host, port) = server(&subject.config.address)?;
    let config = &subject.config;
    let is_simple = config.tls.is_none() && is_host(host) && subject.name == "REDIS_URL";
    let user_info = match (&config.username, &config.password) {
        (Some(_), Some(_)) => "USER:PASSWORD@",
        (None, Some(_)) => ":PASSWORD@",
        (_, None) => "",
    };
    let at = place(host, port);
    is_simple.then(|| format!("REDIS_URL=redis+{kind}://{user_info}{at}{path}"))
}

fn of_role(subject: &Subject, state: &RedisState) -> Option<Finding> {
    if state.role.as_deref() != Some("slave") {
        return None;
    }
    let RedisAddress::Tcp { .. } = &subject.config.address else { return None };
    if state.is_primary_heard == Some(false) {
        let why = "leads to a replica that does not hear of its primary: what it has is old";
        return Some(Finding::new("redis-masterdown", Error, why));
    }
    let why = "leads to a replica, which takes no writes (READONLY)";
    // Who reads there may mean it.
    let is_meant = ["REPLICA", "READ", "SLAVE"].iter().any(|word| subject.name.contains(word));
    let finding = Finding::new("redis-readonly", if is_meant { Info } else { Error }, why);
    let Some((host, port)) = state.primary.clone().filter(|(host, _)| is_host(host)) else {
        return Some(finding);
    };
    // Told by the server, so it is a hint; the password goes nowhere by itself.
    let address = RedisAddress::Tcp { host, port };
    let fix = subject.line(&RedisUrl { address, ..subject.url.clone() });
    Some(Finding { fix, ..finding })
}

fn of_memory(state: &RedisState) -> Option<Finding> {
    let (used, most) = (state.memory_used?, state.memory_max.filter(|most| *most > 0)?);
    let policy = state.eviction_policy.as_deref()?;
    if used < most / 100 * TAKEN_MAX {
        return None;
    }
    let percent = used.saturating_mul(100) / most;
    let (level, what) = match policy {
        "noeviction" => (Error, "and throws nothing away: writes fail (OOM)"),
        policy if policy.starts_with("volatile") => {
            (Warn, "and throws away only what has an end; without such keys writes fail (OOM)")
        }
        _ => (Info, "and throws away what is used least"),
    };
    let why = format!("leads to a server that uses {percent} % of its `maxmemory` {what}");
    Some(Finding::new("redis-memory-full", level, why))
}

/// What becomes of what is kept there, when memory ends or the server does.
pub(super) fn judge_keeping(subject: &Subject, state: &RedisState) -> Vec<Finding> {
    let unsaved = (state.was_saved == Some(false)).then(|| {
        let why = "leads to a server whose last snapshot could not be written: with \
                   `stop-writes-on-bgsave-error` it takes no changes until one can";
        Finding::new("redis-misconf", Warn, why)
    });
    // Nightlatch keeps there what it can do without.
    let role = subject.role.filter(|_| !subject.is_ours);
    let kept = role.and_then(|role| of_eviction(role, state));
    let lost = role.and_then(|role| of_restart(role, state));
    [unsaved, kept, lost].into_iter().flatten().collect()
}

/// What is thrown away when the memory that it may use is full.
fn of_eviction(role: Role, state: &RedisState) -> Option<Finding> {
    let policy = state.eviction_policy.as_deref()?;
    let is_limited = state.memory_max.is_some_and(|most| most > 0);
    let (level, what) = match role {
        Role::Broker | Role::Results if policy.starts_with("allkeys") => {
            (Warn, "throws away whole queues when its memory is full: `noeviction` is for queues")
        }
        Role::Sessions if policy.starts_with("allkeys") => {
            (Info, "ends sessions early when its memory is full")
        }
        Role::Sessions if policy == "noeviction" => {
            (Info, "fails logins when its memory is full (OOM)")
        }
        _ => return None,
    };
    let why = format!("leads to a server that, with `maxmemory-policy {policy}`, {what}");
    is_limited.then(|| Finding::new("redis-eviction", level, why))
}

/// What is lost when it ends without warning.
fn of_restart(role: Role, state: &RedisState) -> Option<Finding> {
    let what = match role {
        Role::Sessions => "sessions",
        Role::Broker => "tasks",
        _ => return None,
    };
    (state.keeps_log == Some(false)).then(|| {
        let why = format!(
            "leads to a server without a log of its changes (`appendonly no`): {what} since its last \
             snapshot are lost when it ends without warning"
        );
        Finding::new("redis-persistence", Info, why)
    })
}

fn of_clients(state: &RedisState) -> Option<Finding> {
    let (now, most) = (state.clients?, state.clients_max?);
    (now.saturating_mul(100) >= most.saturating_mul(TAKEN_MAX)).then(|| {
        let why = format!("leads to a server with {now} of {most} clients: soon it takes no more");
        Finding::new("redis-maxclients", Warn, why)
    })
}

fn of_version(state: &RedisState) -> Option<Finding> {
    let version = state.version.as_deref()?;
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major < MAJOR_MIN && !state.is_valkey).then(|| {
        let why = format!("leads to Redis {version}, for which there are no more corrections");
        Finding::new("redis-old", Warn, why)
    })
}

/// What the server needs and does not get.
pub(super) fn judge_needs(subject: &Subject, unmet: &[Unmet]) -> Option<Finding> {
    // A replica or a full memory refuses many; the state has said so.
    let (forbidden, others): (Vec<&Unmet>, Vec<&Unmet>) =
        unmet.iter().partition(|one| one.class == Class::Forbidden);
    if let Some(first) = others.first() {
        let names: Vec<&str> = others.iter().map(|one| one.command).collect();
        let (id, level) = of_failed(first.class);
        let why = format!("leads to a server that fails {} ({})", names.join(", "), first.class);
        return Some(Finding::new(id, level, why));
    }
    if forbidden.is_empty() {
        return None;
    }
    let level = if subject.is_ours { Error } else { Info };
    let prefix = &subject.config.key_prefix;
    let mut rules = Vec::new();
    if forbidden.iter().any(|one| one.lack == Lack::Key) {
        rules.push(format!("'~{prefix}*'"));
    }
    if forbidden.iter().any(|one| one.lack == Lack::Channel) {
        rules.push(format!("'&{prefix}*'"));
    }
    let commands = forbidden.iter().filter(|one| one.lack == Lack::Command);
    rules.extend(commands.map(|one| format!("+{}", one.command)));
    let names: Vec<&str> = forbidden.iter().map(|one| one.command).collect();
    let why = format!("logs in as a user who lacks rights (NOPERM): {}", names.join(", "));
    let user = subject.config.username.as_ref().map_or("default", |_| "USER");
    let finding = Finding::new("redis-forbidden", level, why);
    Some(finding.run(format!("ACL SETUSER {user} {}", rules.join(" "))))
}

fn of_failed(class: Class) -> (&'static str, ProblemLevel) {
    match class {
        Class::Readonly => ("redis-readonly", Error),
        Class::OutOfMemory => ("redis-memory-full", Error),
        Class::Misconf => ("redis-misconf", Error),
        Class::NoReplicas => ("redis-noreplicas", Error),
        Class::Loading => ("redis-loading", Warn),
        Class::MasterDown => ("redis-masterdown", Error),
        Class::Busy => ("redis-busy", Error),
        Class::Timeout => ("redis-hangs", Error),
        _ => ("redis-commands", Warn),
    }
}
