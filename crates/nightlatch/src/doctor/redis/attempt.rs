//! Corrections that are tried, to say which one works.
//!
//! A password is tried only at the host and over the transport that are configured. Another host, port
//! or transport is tried without one: that it asks for a password says enough.

use nightlatch_core::{FailureClass as Class, Secret};
use nightlatch_store::redis::inspect::{RedisCause, RedisRefusal};
use nightlatch_store::redis::{RedisAddress, RedisTls};

use super::super::finding::{Addition, Finding};
use super::super::shown::{corrected, place};
use super::server;
use super::subject::{Credentials, Subject};
use crate::app::inspector;
use crate::config::ProblemLevel::Warn;
use crate::config::percent::percent_decoded;
use crate::config::redis_url::{self, RedisUrl};

/// The most that are tried.
const TRIES_MAX: usize = 8;

/// Something that may put it right.
struct Attempt {
    /// Ends "it works ..".
    how: String,
    url: RedisUrl,
    /// Whether user and password may go there.
    is_trusted: bool,
    /// Whether it may be written without asking.
    may_be_written: bool,
}

/// One that worked.
pub(super) struct Found {
    how: String,
    fix: Option<String>,
    correction: Option<Secret<String>>,
    addition: Option<Addition>,
    /// Whether the password was part of it.
    was_whole: bool,
}

impl Found {
    /// What was seen of a Redis, with what puts it right.
    pub(super) fn add_to(self, finding: Finding) -> Finding {
        let Self { how, fix, correction, addition, was_whole } = self;
        let tried = if was_whole { "Tried: it works" } else { "Tried: a Redis answers" };
        let why = format!("{}. {tried} {how}", finding.why);
        Finding { why, fix: fix.or(finding.fix), correction, addition, ..finding }
    }
}

/// The first correction that works.
pub(super) async fn search(subject: &Subject, refused: RedisRefusal) -> Option<Found> {
    for attempt in attempts(subject, refused).into_iter().take(TRIES_MAX) {
        if works(subject, &attempt).await {
            let Attempt { how, url, is_trusted, may_be_written } = attempt;
            let correction = corrected(&url, subject.text.expose())
                .filter(|_| may_be_written && subject.is_url());
            // Programs of others may have another name for it.
            let addition = subject.part(&url).filter(|_| may_be_written && subject.is_ours);
            let fix = subject.line(&url);
            return Some(Found { how, fix, correction, addition, was_whole: is_trusted });
        }
    }
    None
}

/// Whether the server lets anybody write: the password keeps nobody out then.
pub(super) async fn without_password(subject: &Subject, mark: u64) -> Option<Finding> {
    let has_client = subject.config.tls.as_ref().is_some_and(|tls| tls.client.is_some());
    if subject.config.password.is_none() || has_client || server(&subject.config.address).is_none()
    {
        return None;
    }
    let mut config = subject.config.clone();
    (config.username, config.password) = (None, None);
    let visit = inspector(&config).ok()?.visit().await.ok()?;
    if visit.unmet_needs(mark).await.iter().any(|unmet| unmet.command == "set") {
        return None;
    }
    let why = "has a password, and the server takes anybody without one: set `requirepass` there";
    Some(Finding::new("redis-password-not-needed", Warn, why))
}

async fn works(subject: &Subject, attempt: &Attempt) -> bool {
    let mut config = subject.config_of(&attempt.url);
    if !attempt.is_trusted {
        (config.username, config.password) = (None, None);
        config.database = 0;
    }
    let Ok(inspector) = inspector(&config) else { return false };
    match inspector.visit().await {
        Ok(_) => true,
        Err(refused) => !attempt.is_trusted && refused.class == Class::AuthRequired,
    }
}

fn attempts(subject: &Subject, refused: RedisRefusal) -> Vec<Attempt> {
    match (refused.class, refused.cause) {
        (_, Some(RedisCause::NoSuchDatabase)) => vec![Attempt {
            how: "with database 0".to_owned(),
            url: RedisUrl { database: Some(0), ..subject.url.clone() },
            is_trusted: true,
            // Others may keep something there.
            may_be_written: false,
        }],
        (_, Some(RedisCause::OneDatabase)) => Vec::new(),
        (Class::AuthRequired | Class::AuthFailed, _) => of_login(subject),
        (Class::TlsRequired, _) => {
            let tls = Some(RedisTls { verifies: true, authorities: None, client: None });
            vec![Attempt {
                how: "with rediss://, its certificate included".to_owned(),
                url: RedisUrl { tls, ..subject.url.clone() },
                is_trusted: false,
                may_be_written: true,
            }]
        }
        (Class::Unreachable | Class::Dns | Class::Timeout, _) => of_place(subject),
        _ => Vec::new(),
    }
}

/// Other readings of what stands there, and what other settings know.
fn of_login(subject: &Subject) -> Vec<Attempt> {
    let RedisUrl { username, password, .. } = &subject.url;
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut add =
        |how: &str, username: Option<Secret<String>>, password: Secret<String>, may_be_written| {
            let url = RedisUrl { username, password: Some(password), ..subject.url.clone() };
            attempts.push(Attempt { how: how.to_owned(), url, is_trusted: true, may_be_written });
        };
    for Credentials { from, is_in_file, username: other, password } in &subject.elsewhere {
        // Another user has other rights.
        let is_same = username.as_ref().map(Secret::expose) == other.as_ref().map(Secret::expose);
        let how = format!("with the password of {from}");
        add(&how, other.clone(), password.clone(), *is_in_file && is_same);
    }
    if let (Some(user), None) = (username, password) {
        let how = "with what stands there as the password, behind a colon";
        add(how, None, user.clone(), true);
    }
    let Some(password) = password else { return attempts };
    if username.as_ref().is_some_and(|user| user.expose() != "default") {
        add("without the user, as the default one", None, password.clone(), false);
    }
    let text = password.expose();
    let raw = raw_password(subject.text.expose());
    for (how, other) in [
        ("with the password as it stands there, which needs its % encoded", raw),
        ("with the password decoded once more", Some(percent_decoded(text))),
        ("without the blanks around the password", Some(text.trim().to_owned())),
        ("without the quotes around the password", Some(text.trim_matches(['"', '\'']).to_owned())),
    ] {
        let other = other.filter(|other| other != text && !other.is_empty());
        if let Some(other) = other {
            add(how, username.clone(), Secret::new(other), true);
        }
    }
    attempts
}

/// The password of a URL, not decoded.
fn raw_password(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("://")?;
    let (user_info, _) = rest.rsplit_once('@')?;
    let (_, password) = user_info.split_once(':')?;
    Some(password.to_owned())
}

/// Where a Redis may be that is not where it was expected.
fn of_place(subject: &Subject) -> Vec<Attempt> {
    const NEIGHBOURS: [&str; 4] = ["127.0.0.1", "redis", "valkey", "host.docker.internal"];
    let Some((host, port)) = server(&subject.url.address) else { return Vec::new() };
    let here = (port != redis_url::PORT).then(|| (host.to_owned(), redis_url::PORT));
    let is_near = host == "localhost" || NEIGHBOURS.contains(&host) || !host.contains('.');
    let neighbours = NEIGHBOURS.iter().filter(|other| is_near && **other != host);
    let places = here.into_iter().chain(neighbours.map(|other| ((*other).to_owned(), port)));
    let of_one = |(host, port): (String, u16)| {
        let how = format!("at {}", place(&host, port));
        let url = RedisUrl { address: RedisAddress::Tcp { host, port }, ..subject.url.clone() };
        Attempt { how, url, is_trusted: false, may_be_written: false }
    };
    places.map(of_one).collect()
}
