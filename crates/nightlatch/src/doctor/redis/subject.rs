//! Which Redis the settings lead to, and what else they say of each.
//!
//! Several names may say the same, and a password may stand apart from its address: each server is visited once,
//! with what is known of it.

use nightlatch_core::Secret;
use nightlatch_store::redis::{RedisAddress, RedisTls};

use super::super::env::{is_redis, role};
use super::super::finding::{Addition, Finding};
use super::super::redis_settings;
use super::super::redis_text;
use super::super::redis_urls::Role;
use super::super::shown::{rewritten, shown};
use super::super::sources::Sources;
use super::super::written::{Last, Place};
use super::server;
use crate::config::RedisConfig;
use crate::config::redis_url::{self, RedisUrl};

/// A Redis that a setting leads to.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) url: RedisUrl,
    /// As it was written, without what was pasted around it.
    pub(super) text: Secret<String>,
    /// As it stands there.
    pub(super) was: Option<Secret<String>>,
    pub(super) config: RedisConfig,
    /// What it is for, as its name says.
    pub(super) role: Option<Role>,
    /// Whether it is there for Nightlatch.
    pub(super) is_ours: bool,
    /// What other settings know of the same server.
    pub(super) elsewhere: Vec<Credentials>,
}

/// A user and a password that a setting holds.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) from: String,
    /// What the environment holds stays out of files.
    pub(super) is_in_file: bool,
    pub(super) username: Option<Secret<String>>,
    pub(super) password: Secret<String>,
}

/// The ending of `REDIS_TLS`, and how it is switched on.
const TLS: &str = "TLS";
const ON: &str = "true";

const URL: &str = "REDIS_URL";
const HOST: &str = "REDIS_HOST";
const HOST_ENDING: &str = "HOST";

/// Settings that hold nothing but a password.
const PASSWORDS: [&str; 2] = ["REDIS_PASSWORD", "REDIS_ACCESS_KEY"];

impl Subject {
    /// Where it leads, without its secrets.
    pub(super) fn shown(&self) -> String {
        shown(&self.url).unwrap_or_else(|| "the server".to_owned())
    }

    /// A finding about it, where its setting stands; its fix as a line.
    pub(super) fn told(&self, finding: Finding) -> Finding {
        let Place { source, line, column } = self.place.clone();
        let text = finding.text.or_else(|| shown(&self.url));
        let was = self.was.clone();
        Finding { name: Some(self.name.clone()), source, line, column, text, was, ..finding }
    }

    /// Whether its setting holds a URL, which can be written anew.
    pub(super) fn is_url(&self) -> bool {
        !self.text.expose().is_empty()
    }

    /// The line with this URL instead, or of the one setting beside the host that says the difference.
    pub(super) fn line(&self, url: &RedisUrl) -> Option<String> {
        if let Some(Addition { name, .. }) = self.part(url) {
            let shown = if name.ends_with(TLS) { ON } else { "PASSWORD" };
            return Some(format!("{name}={shown}"));
        }
        let name = if self.is_url() { self.name.clone() } else { self.name.replace("HOST", "URL") };
        Some(format!("{name}={}", rewritten(url, self.text.expose())?))
    }

    /// The line that the password stands in.
    pub(super) fn password_line(&self) -> Option<String> {
        match self.name.strip_suffix(HOST_ENDING) {
            Some(stem) if !self.is_url() => Some(format!("{stem}PASSWORD=PASSWORD")),
            Some(_) | None => self.line(&self.url),
        }
    }

    /// The setting beside `REDIS_HOST` that is missing, where this URL has nothing but its password, or TLS,
    /// besides. What programs of others call the second nobody knows.
    pub(super) fn part(&self, url: &RedisUrl) -> Option<Addition> {
        let stem = self.name.strip_suffix(HOST_ENDING).filter(|_| !self.is_url())?;
        let own = &self.url;
        let same = |one: &Option<Secret<String>>, other: &Option<Secret<String>>| {
            one.as_ref().map(Secret::expose) == other.as_ref().map(Secret::expose)
        };
        let is_same_place = own.address == url.address && own.database == url.database;
        if !is_same_place || !same(&own.username, &url.username) {
            return None;
        }
        let is_proven = url.tls.as_ref().is_some_and(|tls| tls.verifies);
        let (ending, value) = match (&own.password, &own.tls) {
            (None, tls) if *tls == url.tls => ("PASSWORD", url.password.clone()?),
            (password, None) if same(password, &url.password) && is_proven && self.is_ours => {
                (TLS, Secret::new(ON.to_owned()))
            }
            _ => return None,
        };
        Some(Addition { name: format!("{stem}{ending}"), value: Some(value) })
    }

    /// The same of another URL.
    pub(super) fn config_of(&self, url: &RedisUrl) -> RedisConfig {
        RedisConfig::of_url(url, self.config.deadline, self.config.key_prefix.clone())
    }
}

/// All of them, the likeliest first, and what is wrong with how they are written.
pub(super) fn find(sources: &Sources) -> (Vec<Subject>, Vec<Finding>) {
    let last = Last::of(&sources.written);
    let (deadline, key_prefix) = sources.redis_limits();
    let (mut subjects, mut findings) = (Vec::<Subject>::new(), Vec::new());
    for &written in last.in_order() {
        let Some(role) = role(&last, written).filter(|_| is_redis(written)) else { continue };
        let text = last.expanded(written);
        let examined = redis_text::examine(&written.name, text.expose());
        let found = examined.findings.into_iter();
        findings.extend(found.map(|finding| super::super::env::at(written, finding)));
        let Some(url) = examined.url else { continue };
        subjects.push(Subject {
            name: written.name.clone(),
            place: written.place.clone(),
            was: Some(written.value.clone()),
            config: RedisConfig::of_url(&url, deadline, key_prefix.clone()),
            role: Some(role),
            is_ours: role == Role::Sessions && sources.is_ours()
                || written.name == URL && sources.is_ours(),
            url,
            text: Secret::new(redis_url::unwrapped(text.expose()).1.to_owned()),
            elsewhere: Vec::new(),
        });
    }
    if let Some(configured) = configured(sources)
        && subjects.iter().all(|known| known.name != URL)
    {
        subjects.insert(0, configured);
    }
    let apart = redis_settings::addresses(&last).into_iter().filter(|(it, _)| it.name != HOST);
    subjects.extend(apart.map(|(written, url)| Subject {
        name: written.name.clone(),
        place: written.place.clone(),
        was: None,
        config: RedisConfig::of_url(&url, deadline, key_prefix.clone()),
        role: None,
        is_ours: false,
        url,
        text: Secret::new(String::new()),
        elsewhere: Vec::new(),
    }));
    subjects.sort_by_key(|subject| !subject.is_ours);
    let known = credentials(&subjects, &last);
    for subject in &mut subjects {
        subject.elsewhere = known_of(subject, &known);
    }
    (without_twins(subjects), findings)
}

/// What the server itself would use, where that is said otherwise than by a URL.
fn configured(sources: &Sources) -> Option<Subject> {
    let mut config = sources.loaded.config.redis.clone()?;
    if !sources.is_ours() {
        // Words for nothing, as Laravel has them.
        let is_said = |it: &Secret<String>| !redis_settings::is_nothing(it.expose());
        config.password = config.password.filter(is_said);
        config.username = config.username.filter(is_said);
    }
    let origin = |name: &str| {
        let mut in_force = sources.loaded.report.in_force.iter();
        in_force.find(|it| it.setting.name == name).map(|it| it.origin.clone())
    };
    let is_set = |name: &str| origin(name).is_some_and(|it| it != crate::config::Origin::Default);
    let name = if is_set(URL) { URL } else { HOST };
    let (source, line) = origin(name)?.place();
    let url = RedisUrl::from(&config);
    Some(Subject {
        name: name.to_owned(),
        place: Place { source, line, column: None },
        config,
        url,
        text: Secret::new(String::new()),
        was: None,
        role: None,
        is_ours: sources.is_ours(),
        elsewhere: Vec::new(),
    })
}

/// Where a password may be sent, and how: nowhere else, and not in the clear if it is not sent so now.
type Way = (RedisAddress, Option<RedisTls>);

/// Each with where it is for; `None`: it does not say.
fn credentials(subjects: &[Subject], last: &Last<'_>) -> Vec<(Option<Way>, Credentials)> {
    let of_urls = subjects.iter().filter_map(|subject| {
        let (from, username) = (subject.name.clone(), subject.url.username.clone());
        let (password, is_in_file) = (subject.url.password.clone()?, subject.place.line.is_some());
        let way = (subject.url.address.clone(), subject.url.tls.clone());
        Some((Some(way), Credentials { from, is_in_file, username, password }))
    });
    // What says where to connect is the place that a password beside it is for.
    let is_placed = [HOST, "REDIS_PORT", "REDIS_TLS"].iter().any(|name| last.has(name));
    let alone = PASSWORDS.iter().filter(|_| !is_placed).filter_map(|name| {
        let password = last.value(name).filter(|text| !text.is_empty())?;
        let text = |text: &str| Secret::new(text.to_owned());
        let username = last.value("REDIS_USERNAME").filter(|text| !text.is_empty()).map(text);
        let (from, is_in_file) = ((*name).to_owned(), last.is_in_file(name));
        Some((None, Credentials { from, is_in_file, username, password: text(password) }))
    });
    of_urls.chain(alone).collect()
}

/// A password that stands alone is for the server of `REDIS_URL`.
fn known_of(subject: &Subject, all: &[(Option<Way>, Credentials)]) -> Vec<Credentials> {
    let is_of_it = |way: &Option<Way>| match way {
        Some((address, tls)) => {
            server(address).is_some() && *address == subject.url.address && *tls == subject.url.tls
        }
        None => subject.name == URL,
    };
    let others = all.iter().filter(|(way, it)| it.from != subject.name && is_of_it(way));
    others.map(|(_, it)| it.clone()).collect()
}

/// Several settings may say the same of one Redis: it is visited once.
fn without_twins(subjects: Vec<Subject>) -> Vec<Subject> {
    let text = |secret: &Option<Secret<String>>| secret.as_ref().map(|it| it.expose().clone());
    let same = |one: &Subject, other: &Subject| {
        one.config.address == other.config.address
            && one.config.database == other.config.database
            && one.config.tls == other.config.tls
            && text(&one.config.username) == text(&other.config.username)
            && text(&one.config.password) == text(&other.config.password)
    };
    let mut kept: Vec<Subject> = Vec::new();
    for subject in subjects {
        if !kept.iter().any(|known| same(known, &subject)) {
            kept.push(subject);
        }
    }
    kept
}
