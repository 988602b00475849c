//! What a URL says against the service that it leads to.
//!
//! Apart from reading the file: here one sees which facts a verdict needs, and that it is silent without.

use nightlatch_core::Secret;
use nightlatch_store::redis::RedisAddress;

use super::Project;
use super::command::Password;
use super::service::Service;
use crate::config::ProblemLevel::{self, Error, Warn};
use crate::config::redis_url::{self, RedisUrl};
use crate::doctor::env::at;
use crate::doctor::finding::Finding;
use crate::doctor::machine::is_here;
use crate::doctor::near;
use crate::doctor::redis_settings::is_nothing;
use crate::doctor::redis_urls::Role;
use crate::doctor::shown::{corrected, is_host, rewritten, shown};
use crate::doctor::written::{Last, Written};

/// A setting that leads to a Redis.
pub(super) struct Lead<'a> {
    written: &'a Written,
    url: RedisUrl,
    host: String,
    /// `None`: a host alone.
    port: Option<u16>,
    /// Who follows it.
    from: From,
    /// What stands beside a host alone.
    beside: Beside<'a>,
}

/// The settings of the same stem as a host: `REDIS_PORT` and `REDIS_PASSWORD` of `REDIS_HOST`.
#[derive(Default)]
struct Beside<'a> {
    port: Option<&'a Written>,
    password: Option<&'a Written>,
    /// Whether a password would stand here, if there were one.
    is_whole: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// A program on the host, as far as is known.
    Outside,
    Container,
    Unsure,
}

impl<'a> Lead<'a> {
    /// `None`: it leads to no one server.
    pub(super) fn of(written: &'a Written, last: &Last<'a>) -> Option<Self> {
        let value = last.expanded(written);
        let text = value.expose();
        if let Some(stem) = written.name.strip_suffix("HOST").filter(|it| it.ends_with("REDIS_")) {
            return is_host(text).then(|| Self::of_host(written, text, (stem, last)))?;
        }
        Role::of(&written.name)?;
        let url = redis_url::parse(text).ok()?;
        let RedisAddress::Tcp { host, port } = &url.address else { return None };
        let (host, port) = (host.clone(), Some(*port));
        Some(Self { written, host, port, url, from: From::Outside, beside: Beside::default() })
    }

    /// A host, and what stands beside it, unless a URL says the same.
    fn of_host(written: &'a Written, host: &str, (stem, last): (&str, &Last<'a>)) -> Option<Self> {
        let mut url = redis_url::parse(&format!("redis://{host}")).ok()?;
        let host = host.to_owned();
        let lead =
            |url, port, beside| Self { written, url, host, port, from: From::Outside, beside };
        let find = |ending: &str| last.find(&format!("{stem}{ending}"));
        if find("URL").is_some() {
            return Some(lead(url, None, Beside::default()));
        }
        let port = find("PORT").filter(|it| last.expanded(it).expose().parse::<u16>().is_ok());
        let number = port.and_then(|it| last.expanded(it).expose().parse().ok());
        let password = find("PASSWORD").filter(|it| {
            let value = last.expanded(it);
            let text = value.expose();
            !is_nothing(text) && !text.contains('$')
        });
        url.password = password.map(|it| last.expanded(it));
        url.username = find("USERNAME").or_else(|| find("USER")).map(|it| last.expanded(it));
        // By whatever name an application has it.
        let may_hold = |it: &&Written| {
            let name = it.name.as_str();
            ["PASS", "_PW", "AUTH", "SECRET", "KEY"].iter().any(|part| name.contains(part))
                && name.contains("REDIS")
        };
        let is_whole = !last.in_order().iter().any(may_hold);
        Some(lead(url, number, Beside { port, password, is_whole }))
    }

    /// Only with what `is_given` to whoever follows it.
    pub(super) fn among(self, is_given: impl Fn(&str) -> bool) -> Self {
        let Beside { port, password, is_whole } = self.beside;
        let is_kept = |it: &&Written| is_given(&it.name);
        let kept = Beside {
            port: port.filter(is_kept),
            password: password.filter(is_kept),
            is_whole: is_whole && is_given(&self.written.name.replace("HOST", "PASSWORD")),
        };
        let is_url = !self.written.name.ends_with("HOST");
        let (port, mut url) = (self.port.filter(|_| is_url || kept.port.is_some()), self.url);
        if !is_url && kept.password.is_none() {
            url.password = None;
        }
        Self { beside: kept, port, url, ..self }
    }

    /// Of what a service is given besides, not all is known here.
    pub(super) fn in_part(self) -> Self {
        let beside = Beside { is_whole: false, ..self.beside };
        Self { beside, ..self }
    }

    fn is_host(&self) -> bool {
        self.written.name.ends_with("HOST")
    }

    pub(super) fn name(&self) -> &str {
        &self.written.name
    }

    /// A container follows it.
    pub(super) fn within(self) -> Self {
        Self { from: From::Container, ..self }
    }

    /// Who follows it has a network of its own kind.
    pub(super) fn unsure(self) -> Self {
        Self { from: From::Unsure, ..self }
    }

    fn is_here(&self) -> bool {
        is_here(&self.host)
    }

    /// The same with another place, as it may be shown, and as it may be written.
    fn at(&self, host: &str, port: u16) -> (Option<String>, Option<Secret<String>>) {
        if self.is_host() {
            let other = if host == self.host { port.to_string() } else { host.to_owned() };
            return (Some(other.clone()), Some(Secret::new(other)));
        }
        let address = RedisAddress::Tcp { host: host.to_owned(), port };
        let url = RedisUrl { address, ..self.url.clone() };
        let text = self.written.value.expose();
        (rewritten(&url, text), corrected(&url, text))
    }

    fn finding(&self, id: &'static str, level: ProblemLevel, why: String) -> Finding {
        let text = if self.is_host() { None } else { shown(&self.url) };
        Finding { text, ..Finding::new(id, level, why) }
    }

    /// A finding about another setting than the one that leads there.
    fn told_of(&self, part: Option<&Written>, finding: Finding) -> Finding {
        match part.filter(|_| self.is_host()) {
            Some(written) => at(written, finding),
            None => finding,
        }
    }

    /// The finding where the setting stands. A reference is not written over.
    fn told(&self, finding: Finding) -> Finding {
        if finding.name.is_some() {
            return finding;
        }
        let is_whole = !self.written.value.expose().contains('$');
        let correction = finding.correction.filter(|_| is_whole);
        at(self.written, Finding { correction, ..finding })
    }
}

/// Judges each lead.
pub(super) fn judge(project: &Project, leads: Vec<Lead<'_>>) -> Vec<Finding> {
    let redis: Vec<&Service> = project.services.iter().filter(|it| it.redis.is_some()).collect();
    if redis.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for lead in leads {
        let found = of_lead(project, &redis, &lead);
        findings.extend(found.into_iter().map(|finding| lead.told(finding)));
    }
    findings
}

fn of_lead(project: &Project, redis: &[&Service], lead: &Lead<'_>) -> Vec<Finding> {
    if lead.is_here() {
        return match lead.from {
            From::Container => from_container(redis, lead).into_iter().collect(),
            From::Outside => from_host(redis, lead),
            From::Unsure => Vec::new(),
        };
    }
    let mut called = project.services.iter().filter(|it| it.is_called(&lead.host));
    match (called.next(), called.next()) {
        (Some(service), None) if lead.from != From::Unsure => {
            let port = inner_port(service, lead);
            port.into_iter().chain(password(service, lead)).collect()
        }
        (None, _) if project.is_closed && lead.from != From::Unsure => {
            misspelt(redis, lead).into_iter().collect()
        }
        (None | Some(_), _) => Vec::new(),
    }
}

/// `localhost` in a container is the container.
fn from_container(redis: &[&Service], lead: &Lead<'_>) -> Option<Finding> {
    let why = "leads to the container itself, where `localhost` is: other services are reached by \
               their names";
    let finding = lead.finding("compose-localhost", Error, why.to_owned());
    let [service] = redis else { return Some(finding) };
    let published = service.published.iter().flatten().find(|it| Some(it.host) == lead.port);
    let known = service.redis.as_ref().and_then(|it| it.ports.as_ref()?.first().copied());
    let port = published.map(|it| it.inner).or(known).or(lead.port)?;
    let (fix, correction) = lead.at(&service.name, port);
    let is_certain = published.is_some() || lead.port.is_none() || known == lead.port;
    Some(Finding { fix, correction: correction.filter(|_| is_certain), ..finding })
}

/// A program on the host takes what is published.
fn from_host(redis: &[&Service], lead: &Lead<'_>) -> Vec<Finding> {
    let ([service], Some(port)) = (redis, lead.port) else { return Vec::new() };
    let Some(published) = &service.published else { return Vec::new() };
    if published.iter().any(|it| it.host == port) {
        return password(service, lead).into_iter().collect();
    }
    let ports = service.redis.as_ref().and_then(|it| it.ports.as_ref());
    let to_redis = |inner: u16| ports.is_some_and(|ports| ports.contains(&inner));
    let mut wanted = published.iter().filter(|it| to_redis(it.inner));
    let (Some(wanted), None) = (wanted.next(), wanted.next()) else { return Vec::new() };
    let why = format!(
        "does not lead to the service {}, which is published at port {} of the host",
        service.name, wanted.host
    );
    let (fix, _) = lead.at(&lead.host, wanted.host);
    let finding = Finding { fix, ..lead.finding("compose-port", Warn, why) };
    vec![lead.told_of(lead.beside.port, finding)]
}

/// Between containers the inner port counts.
fn inner_port(service: &Service, lead: &Lead<'_>) -> Option<Finding> {
    let port = lead.port?;
    let ports = service.redis.as_ref()?.ports.as_ref()?;
    let inner = *ports.first().filter(|_| !ports.contains(&port))?;
    let is_published = service.published.iter().flatten().any(|it| it.host == port);
    let name = &service.name;
    let why = if is_published {
        format!(
            "names the port of the host, where {name} is published: between containers it is {inner}"
        )
    } else {
        format!("names another port than {inner}, where {name} listens")
    };
    let (fix, correction) = lead.at(&lead.host, inner);
    let correction = correction.filter(|_| is_published);
    let finding = Finding { fix, correction, ..lead.finding("compose-port", Error, why) };
    Some(lead.told_of(lead.beside.port, finding))
}

/// What the service wants, and what it is given.
fn password(service: &Service, lead: &Lead<'_>) -> Option<Finding> {
    if lead.is_host() {
        return password_beside(service, lead);
    }
    lead.port?;
    let own = lead.url.password.as_ref();
    let is_plain_user = lead.url.username.as_ref().is_none_or(|it| it.expose() == "default");
    if !is_plain_user {
        return None;
    }
    let name = &service.name;
    match (&service.redis.as_ref()?.password, own) {
        (Password::Known(wanted), None) => {
            let why = format!("has no password, though the service {name} is started with one");
            let url = RedisUrl { password: Some(wanted.clone()), ..lead.url.clone() };
            let text = lead.written.value.expose();
            let (fix, correction) = (rewritten(&url, text), corrected(&url, text));
            let finding = lead.finding("compose-password-missing", Error, why);
            Some(Finding { fix, correction, ..finding })
        }
        (Password::Known(wanted), Some(own)) if wanted.expose() != own.expose() => {
            let why =
                format!("has another password than the one the service {name} is started with");
            Some(lead.finding("compose-password-differs", Error, why))
        }
        (Password::Nothing, Some(_)) => {
            let why = format!(
                "has a password, though the service {name} is started without: give it one with \
                 `--requirepass`"
            );
            Some(lead.finding("compose-password-needless", Warn, why))
        }
        (Password::Known(_) | Password::Nothing | Password::Unknown, _) => None,
    }
}

/// The same where it has a setting of its own.
fn password_beside(service: &Service, lead: &Lead<'_>) -> Option<Finding> {
    let is_plain_user = lead.url.username.as_ref().is_none_or(|it| it.expose() == "default");
    if !is_plain_user {
        return None;
    }
    let name = &service.name;
    let own = lead.url.password.as_ref().zip(lead.beside.password);
    match (&service.redis.as_ref()?.password, own) {
        (Password::Known(_), None) if lead.beside.is_whole => {
            let setting = lead.written.name.replace("HOST", "PASSWORD");
            let why = format!(
                "leads to the service {name}, which is started with a password, and {setting} is not set"
            );
            let finding = at(lead.written, lead.finding("compose-password-missing", Warn, why));
            Some(Finding { fix: Some(format!("{setting}=PASSWORD")), ..finding })
        }
        (Password::Known(wanted), Some((own, at_own))) if wanted.expose() != own.expose() => {
            let why =
                format!("is another password than the one the service {name} is started with");
            Some(at(at_own, Finding::new("compose-password-differs", Error, why)))
        }
        (Password::Nothing, Some((_, at_own))) => {
            let why = format!(
                "is a password for the service {name}, which is started without: give it one with \
                 `--requirepass`"
            );
            Some(at(at_own, Finding::new("compose-password-needless", Warn, why)))
        }
        (Password::Known(_) | Password::Nothing | Password::Unknown, _) => None,
    }
}

/// A name that is almost a service's.
fn misspelt(redis: &[&Service], lead: &Lead<'_>) -> Option<Finding> {
    let is_name = !lead.host.contains(['.', ':']);
    let name = near::only(&lead.host, redis.iter().map(|service| service.name.as_str()));
    let name = name.filter(|_| is_name)?;
    let why = format!("names a host that is no service; the Redis here is called {name}");
    let port = lead.port.unwrap_or(redis_url::PORT);
    let (fix, _) = lead.at(name, port);
    Some(Finding { fix, ..lead.finding("compose-service-name", Error, why) })
}
