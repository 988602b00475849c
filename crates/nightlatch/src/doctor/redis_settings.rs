//! Host, port and the rest in settings of their own, and the URL beside them that says something else.
//!
//! Which of the two a program reads nobody knows, so that one of them is wrong is all there is to say.
//! A group are all names of one stem: `REDIS_HOST` and `REDIS_URL`, `CACHE_REDIS_HOST` and
//! `CACHE_REDIS_URL`.

use std::collections::BTreeSet;

use nightlatch_core::Secret;
use nightlatch_store::redis::{RedisAddress, RedisTls};

use super::finding::Finding;
use super::shown::{bracketed, is_host, shown};
use super::written::{Last, Written};
use crate::config::ProblemLevel::{Error, Warn};
use crate::config::percent::percent_decoded;
use crate::config::redis_url::{self, RedisUrl, shown_host};

/// The most groups that are looked at.
const GROUPS_MAX: usize = 32;

/// What names of other things hold: addresses of tools, of Sentinels and of Kubernetes' services.
const OTHERS: [&str; 7] =
    ["SENTINEL", "INSIGHT", "COMMANDER", "EXPORTER", "SERVICE", "CLUSTER", "_TCP_"];

/// Words for nothing, as Laravel and others have them.
const NOTHING: [&str; 5] = ["", "null", "none", "nil", "undefined"];

/// Names of whether TLS is spoken, behind the stem.
const TLS: [&str; 5] = ["TLS", "SSL", "TLS_ENABLED", "USE_TLS", "USE_SSL"];

/// Examines each group. Each finding comes with the setting that it is about.
pub(super) fn examine<'a>(last: &Last<'a>) -> Vec<(&'a Written, Finding)> {
    let stems: BTreeSet<&str> = last.in_order().iter().filter_map(|it| stem(&it.name)).collect();
    let mut findings = Vec::new();
    for stem in stems.into_iter().take(GROUPS_MAX) {
        let group = Group { last, stem };
        findings.extend(group.host());
        findings.extend(group.port());
        findings.extend(group.password());
        findings.extend(group.disagreements());
    }
    findings
}

/// Where each group without a URL leads to, by its host.
pub(super) fn addresses<'a>(last: &Last<'a>) -> Vec<(&'a Written, RedisUrl)> {
    let stems: BTreeSet<&str> = last.in_order().iter().filter_map(|it| stem(&it.name)).collect();
    let groups = stems.into_iter().take(GROUPS_MAX).map(|stem| Group { last, stem });
    groups.filter_map(|group| group.address()).collect()
}

/// Whether a word stands for nothing.
pub(super) fn is_nothing(text: &str) -> bool {
    NOTHING.iter().any(|word| text.trim().eq_ignore_ascii_case(word))
}

/// `REDIS_` of `REDIS_HOST`, `REDIS_CACHE_` of `REDIS_CACHE_PORT`.
fn stem(name: &str) -> Option<&str> {
    let ending = ["HOST", "PORT", "URL"].into_iter().find(|ending| name.ends_with(ending))?;
    let stem = name.strip_suffix(ending)?;
    let is_of_redis = stem.contains("REDIS_") && !OTHERS.iter().any(|other| stem.contains(other));
    is_of_redis.then_some(stem)
}

/// All settings of one stem.
struct Group<'a, 'b> {
    last: &'b Last<'a>,
    stem: &'b str,
}

impl<'a> Group<'a, '_> {
    /// A setting that says something, and what.
    fn part(&self, ending: &str) -> Option<(&'a Written, Secret<String>)> {
        let name = format!("{}{ending}", self.stem);
        let written = self.last.find(&name)?;
        let value = self.last.expanded(written);
        let text = value.expose();
        let is_open = text.contains('$') && written.value.expose().contains('$');
        (!is_nothing(text) && !is_open).then_some((written, value))
    }

    /// A host that is more, or less, than one.
    fn host(&self) -> Option<(&'a Written, Finding)> {
        let (written, value) = self.part("HOST")?;
        let text = value.expose().as_str();
        // Several, a socket, and what Predis and phpredis write before a host.
        let is_of_others = text.contains([',', '<', '{'])
            || text.starts_with('/')
            || ["unix:", "tls://", "ssl://", "tcp://"].iter().any(|start| text.starts_with(start));
        if is_of_others {
            return None;
        }
        let bare = text.trim();
        let is_padded = bare.len() < text.len() && is_host(bare);
        let (level, why, host) = if bare.contains("://") || bare.contains('@') {
            let host =
                redis_url::parse(bare).ok().and_then(|url| tcp(&url).map(|it| it.0.to_owned()));
            let why = "is a URL where the name of a host belongs";
            (Error, why, host)
        } else if text.contains(char::is_whitespace) {
            let why = "has blanks in it or around it, which become part of the host's name";
            (Error, why, Some(bare.to_owned()))
        } else if let Some(host) = before_port(bare) {
            let why = "holds a port, too, which most programs take for part of the host's name";
            (Warn, why, Some(host.to_owned()))
        } else {
            return None;
        };
        let host = host.filter(|host| is_host(host)).unwrap_or_else(|| "HOST".to_owned());
        let correction = is_padded.then(|| Secret::new(host.clone()));
        let finding = Finding::new("redis-host", level, why).fix(host);
        Some((written, Finding { correction, ..finding }))
    }

    /// A port that is none.
    fn port(&self) -> Option<(&'a Written, Finding)> {
        let (written, value) = self.part("PORT")?;
        let text = value.expose().as_str();
        let is_port = text.parse::<u16>().is_ok_and(|port| port != 0);
        // An address to publish it at, a service link, and what nobody has replaced.
        if is_port || text.contains([':', '<', '{']) || text.starts_with("0x") {
            return None;
        }
        let number = text.trim().parse::<u16>().ok().filter(|port| *port != 0);
        let fix = number.unwrap_or(redis_url::PORT).to_string();
        let why = "is no number from 1 to 65535";
        let correction = number.map(|_| Secret::new(fix.clone()));
        let finding = Finding::new("redis-port", Error, why).fix(fix);
        Some((written, Finding { correction, ..finding }))
    }

    /// A password that nobody has put in yet.
    fn password(&self) -> Option<(&'a Written, Finding)> {
        let (written, value) = self.part("PASSWORD")?;
        let text = value.expose().trim();
        (bracketed(text) == Some(text)).then(|| {
            let why = "is a placeholder that nobody has replaced";
            (written, Finding::new("value-placeholder", Error, why))
        })
    }

    /// Where it leads to, if no URL says so.
    fn address(&self) -> Option<(&'a Written, RedisUrl)> {
        let (written, host) = self.part("HOST").filter(|(_, host)| is_host(host.expose()))?;
        if self.part("URL").is_some() {
            return None;
        }
        let port = match self.part("PORT") {
            Some((_, port)) => port.expose().parse::<u16>().ok().filter(|port| *port != 0)?,
            None => redis_url::PORT,
        };
        let mut url =
            redis_url::parse(&format!("redis://{}", shown_host(host.expose(), port))).ok()?;
        let text = |endings: &[&str]| endings.iter().find_map(|ending| self.part(ending));
        url.password = text(&["PASSWORD"]).map(|(_, value)| value);
        url.username = text(&["USERNAME", "USER"]).map(|(_, value)| value);
        url.database = text(&["DB"]).and_then(|(_, value)| value.expose().parse().ok());
        let is_on = |(_, value): (&Written, Secret<String>)| {
            ["true", "yes", "on", "1"].contains(&value.expose().to_ascii_lowercase().as_str())
        };
        if text(&TLS).is_some_and(is_on) {
            url.tls = Some(RedisTls { verifies: true, authorities: None, client: None });
        }
        Some((written, url))
    }

    /// What says something else than the URL of the group.
    fn disagreements(&self) -> Vec<(&'a Written, Finding)> {
        let Some((url, value)) = self.part("URL") else { return Vec::new() };
        let Ok(read) = redis_url::parse(value.expose()) else { return Vec::new() };
        let Some((host, port)) = tcp(&read) else { return Vec::new() };
        let mut findings = Vec::new();
        let mut compare = |endings: &[&str], agrees: &dyn Fn(&str) -> bool| {
            let other = endings.iter().find_map(|ending| self.part(ending));
            let other = other.filter(|(_, value)| !agrees(value.expose()));
            let Some((written, _)) = other else { return };
            let is_missing = endings == ["PASSWORD"] && read.password.is_none();
            let what = if is_missing {
                "is a password that is missing in"
            } else {
                "says something else than"
            };
            let why = format!(
                "{what} {}: a program reads one of them, and it may be the other",
                url.name
            );
            let is_place = ["HOST", "PORT", "DB"].contains(&endings[0]);
            let text = other.filter(|(_, value)| is_place && is_host(value.expose()));
            let there = shown(&read).unwrap_or_default();
            let text = text.map(|(_, value)| format!("{}; {}={there}", value.expose(), url.name));
            let finding = Finding::new("redis-settings-disagree", Warn, why);
            findings.push((written, Finding { text, ..finding }));
        };
        compare(&["HOST"], &|text| !is_host(text) || text.eq_ignore_ascii_case(host));
        // Alone it says where Docker publishes it.
        if self.part("HOST").is_some() {
            compare(&["PORT"], &|text| text.parse::<u16>().is_ok_and(|own| own == port));
        }
        let is = |part: &Option<Secret<String>>, text: &str| {
            part.as_ref()
                .is_some_and(|it| *it.expose() == text || *it.expose() == percent_decoded(text))
        };
        compare(&["PASSWORD"], &|text| is(&read.password, text));
        compare(&["USERNAME", "USER"], &|text| {
            is(&read.username, text) || text == "default" && read.username.is_none()
        });
        let database = read.database.unwrap_or_default();
        compare(&["DB"], &|text| text.parse::<u32>().map_or(true, |own| own == database));
        let has_tls = read.tls.is_some();
        compare(&TLS, &|text| match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => has_tls,
            "false" | "no" | "off" | "0" => !has_tls,
            _ => true,
        });
        findings
    }
}

fn tcp(url: &RedisUrl) -> Option<(&str, u16)> {
    match &url.address {
        RedisAddress::Tcp { host, port } => Some((host, *port)),
        RedisAddress::Unix(_) | RedisAddress::Sentinel { .. } | RedisAddress::Cluster(_) => None,
    }
}

/// The host of `host:port`.
fn before_port(text: &str) -> Option<&str> {
    let (host, port) = text.rsplit_once(':')?;
    (!host.contains(':') && port.parse::<u16>().is_ok()).then_some(host)
}
