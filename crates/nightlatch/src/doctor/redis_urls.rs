//! What several Redis URLs of one file say together: who shares a database, and who disagrees.

use nightlatch_core::Secret;
use nightlatch_store::redis::RedisAddress;

use super::finding::Finding;
use super::shown::{corrected, rewritten, shown};
use super::written::Written;
use crate::config::ProblemLevel::{Error, Info, Warn};
use crate::config::redis_url::{RedisUrl, unwrapped};

/// What stands in names of other programs' addresses.
const TOOLS: [&str; 7] = ["REST", "INSIGHT", "COMMANDER", "EXPORTER", "DASHBOARD", "GUI", "_UI_"];

/// The most URLs that are compared with each other.
const COMPARED_MAX: usize = 64;

/// What a URL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Sessions,
    Cache,
    Channels,
    Broker,
    Results,
    Other,
}

/// A setting with the URL in it.
pub(super) struct Seen<'a> {
    pub(super) written: &'a Written,
    pub(super) role: Role,
    pub(super) url: RedisUrl,
}

impl Role {
    /// By the names that frameworks and their guides use; `None`: none of a Redis URL.
    pub(super) fn of(name: &str) -> Option<Self> {
        let role = match name {
            "REDIS_SESSION_URL" | "SESSION_REDIS_URL" => Self::Sessions,
            "REDIS_CACHE_URL" | "CACHE_REDIS_URL" | "CACHE_URL" => Self::Cache,
            "REDIS_CHANNELS_URL" | "CHANNELS_REDIS_URL" | "CHANNEL_LAYERS_URL" => Self::Channels,
            "CELERY_BROKER_URL" | "BROKER_URL" => Self::Broker,
            "CELERY_RESULT_BACKEND" | "CELERY_RESULT_BACKEND_URL" | "RESULT_BACKEND" => {
                Self::Results
            }
            "REDIS_URL" | "REDIS_URI" | "REDIS_DSN" | "REDIS_TLS_URL" | "REDISCLOUD_URL"
            | "VALKEY_URL" => Self::Other,
            _ if TOOLS.iter().any(|tool| name.contains(tool)) => return None,
            _ if ["_REDIS_URL", "_REDIS_URI", "_REDIS_DSN"].iter().any(|it| name.ends_with(it)) => {
                Self::Other
            }
            _ if name.starts_with("REDIS_") && name.ends_with("_URL") => Self::Other,
            _ => return None,
        };
        Some(role)
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Cache => "the cache",
            Self::Channels => "channels",
            Self::Broker => "the queue of Celery",
            Self::Results => "the results of Celery",
            Self::Other => "something else",
        }
    }
}

impl Seen<'_> {
    /// Host and port; `None`: not one server.
    fn server(&self) -> Option<(&str, u16)> {
        match &self.url.address {
            RedisAddress::Tcp { host, port } => Some((host, *port)),
            RedisAddress::Unix(_) | RedisAddress::Sentinel { .. } | RedisAddress::Cluster(_) => {
                None
            }
        }
    }

    fn database(&self) -> u32 {
        self.url.database.unwrap_or_default()
    }
}

/// Examines them together. Each finding comes with the setting that it is about, once.
pub(super) fn examine<'a>(seen: &[Seen<'a>]) -> Vec<(&'a Written, Finding)> {
    let seen = &seen[..seen.len().min(COMPARED_MAX)];
    let mut findings: Vec<(&Written, Finding)> = Vec::new();
    for (at, one) in seen.iter().enumerate() {
        for other in &seen[at + 1..] {
            if one.server().is_none() || one.server() != other.server() {
                continue;
            }
            let found = [collision(one, other), half_a_password(one, other)];
            for (written, finding) in found.into_iter().flatten() {
                let is_new = |(known, earlier): &(&Written, Finding)| {
                    known.name != written.name || earlier.id != finding.id
                };
                if findings.iter().all(is_new) {
                    findings.push((written, finding));
                }
            }
        }
    }
    findings
}

/// Two that share a database though one of them may empty it.
fn collision<'a>(one: &Seen<'a>, other: &Seen<'a>) -> Option<(&'a Written, Finding)> {
    let (role, others) = (one.role, other.role);
    let is_known = role != Role::Other && others != Role::Other && role != others;
    let is_of_celery = |role| matches!(role, Role::Broker | Role::Results);
    if !is_known || one.database() != other.database() || is_of_celery(role) && is_of_celery(others)
    {
        return None;
    }
    let is_emptied = role == Role::Cache || others == Role::Cache;
    let why = if is_emptied {
        "clearing the cache empties the database, and with it what else is there"
    } else {
        "what one of them removes or fills up is missing to the other"
    };
    let why = format!(
        "keeps {} in database {} of the server where {} keeps {}: {why}",
        others.noun(),
        one.database(),
        one.written.name,
        role.noun(),
    );
    let level = if is_emptied { Warn } else { Info };
    let finding = Finding::new("redis-collision", level, why);
    Some((other.written, Finding { text: shown(&other.url), ..finding }))
}

/// The same server with a password and without: one of them is refused.
fn half_a_password<'a>(one: &Seen<'a>, other: &Seen<'a>) -> Option<(&'a Written, Finding)> {
    let has = |it: &Seen<'_>| it.url.password.is_some() || it.url.username.is_some();
    let (with, without) = match (has(one), has(other)) {
        (true, false) => (one, other),
        (false, true) => (other, one),
        (true, true) | (false, false) => return None,
    };
    let why = format!("has no password, though {} has one for the same server", with.written.name);
    let user_info = if with.url.username.is_some() { "USER:PASSWORD@" } else { ":PASSWORD@" };
    let fix = rewritten(&without.url, "").map(|fixed| {
        let (scheme, at) = fixed.split_once("://").unwrap_or(("redis", ""));
        format!("{scheme}://{user_info}{at}")
    });
    let finding = Finding::new("redis-password-missing", Error, why);
    let correction = with_password_of(with, without);
    let finding = Finding { text: shown(&without.url), fix, correction, ..finding };
    Some((without.written, finding))
}

/// The same URL with the password of another one, where that keeps nothing from being as safe as it was:
/// another user has other rights, another transport may be in the clear, and what stands elsewhere stays there.
fn with_password_of(with: &Seen<'_>, without: &Seen<'_>) -> Option<Secret<String>> {
    let is_default = with.url.username.as_ref().is_none_or(|user| user.expose() == "default");
    let is_here = with.written.place.line.is_some() && !with.written.value.expose().contains('$');
    let password = with.url.password.clone().filter(|_| is_default && is_here)?;
    let text = unwrapped(without.written.value.expose()).1;
    let is_same_way = with.url.tls == without.url.tls;
    let url = RedisUrl { password: Some(password), ..without.url.clone() };
    corrected(&url, text).filter(|_| is_same_way)
}
