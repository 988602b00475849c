//! Corrections that are tried, to say which one works.
//!
//! A password is tried only at the hosts and over the transport that are configured. Another host or
//! transport is tried without one: that it asks for a password says enough.

use nightlatch_core::{FailureClass as Class, Secret};
use nightlatch_store::postgres::inspect::PostgresCause as Cause;

use super::super::configured::Configured;
use super::super::finding::{Finding, Remedy};
use super::super::shown::place;
use super::super::sources::Sources;
use super::super::written::Last;
use super::postgres::Failed;
use super::refusal::Met;
use super::rights::identifier;
use super::{URL, url};
use crate::app::postgres_inspector;
use crate::config::PostgresDatabase;
use crate::config::percent::percent_decoded;

/// The most that are tried.
const TRIES_MAX: usize = 6;

/// The ports that PostgreSQL and PgBouncer listen on as they come.
const PORT: u16 = 5432;
const POOL_PORT: u16 = 6432;

/// Settings that hold nothing but a password: ours, and what images and `psql` read.
const PASSWORDS: [&str; 3] = [OWN_PASSWORD, "POSTGRES_PASSWORD", "PGPASSWORD"];
const OWN_PASSWORD: &str = "DATABASE_PASSWORD";

/// Something that may put it right.
struct Attempt {
    /// Ends "it works ..".
    how: String,
    database: PostgresDatabase,
    host: usize,
    /// Whether it may log in there.
    is_whole: bool,
    fix: Option<String>,
    /// What may be written without asking, of whose value it takes the place of.
    correction: Option<Correction>,
}

/// The setting that is written, and what.
type Correction = (Configured, Secret<String>);

/// One that worked.
pub(super) struct Found {
    how: String,
    fix: Option<String>,
    correction: Option<Correction>,
    was_whole: bool,
}

/// What there is to try with.
struct Trying<'a> {
    sources: &'a Sources,
    subject: &'a Configured,
    database: &'a PostgresDatabase,
    met: &'a Met,
}

impl Found {
    /// What was seen of a server, with what puts it right.
    pub(super) fn add_to(self, finding: Finding) -> Finding {
        let tried = if self.was_whole { "Tried: it works" } else { "Tried: a PostgreSQL answers" };
        let why = format!("{}. {tried} {}", finding.why, self.how);
        let finding = match self.fix {
            Some(fix) => Finding { why, fix: Some(fix), remedy: Remedy::Write, ..finding },
            None => Finding { why, ..finding },
        };
        match self.correction {
            Some((at, value)) => at.told(Finding { correction: Some(value), ..finding }),
            None => finding,
        }
    }
}

/// The first correction that works.
pub(super) async fn search(
    sources: &Sources,
    subject: &Configured,
    database: &PostgresDatabase,
    met: &Met,
) -> Option<Found> {
    let trying = Trying { sources, subject, database, met };
    for attempt in trying.attempts().into_iter().take(TRIES_MAX) {
        if works(&attempt).await {
            let Attempt { how, is_whole: was_whole, fix, correction, .. } = attempt;
            return Some(Found { how, fix, correction, was_whole });
        }
    }
    None
}

async fn works(attempt: &Attempt) -> bool {
    let Ok(inspector) = postgres_inspector(&attempt.database) else { return false };
    let asks = |class| matches!(class, Class::AuthRequired | Class::AuthFailed);
    match inspector.visit(attempt.host).await {
        Ok(_) => true,
        // A pool that does not know what we say of limits says so before it asks for a password.
        Err(refused) => {
            !attempt.is_whole && (asks(refused.class) || refused.cause == Some(Cause::Pool))
        }
    }
}

impl Trying<'_> {
    fn attempts(&self) -> Vec<Attempt> {
        match self.met.failed {
            Failed::Unreached(Class::Unreachable | Class::Dns | Class::Timeout) => self.of_place(),
            Failed::Unreached(_) => Vec::new(),
            Failed::Refused(refused) => match (refused.class, refused.cause) {
                (_, Some(Cause::Pool)) => vec![self.of_pool()],
                (_, Some(Cause::NoSuchDatabase)) => self.of_near_database().into_iter().collect(),
                (Class::AuthFailed, None) => self.of_password(),
                (Class::AuthRequired, None) => self.of_passwords_beside(None),
                (Class::TlsRequired, _) => self.of_tls(),
                _ => Vec::new(),
            },
        }
    }

    /// Something that may put it right, so far at the same host, with what is tried there.
    fn attempt(&self, how: impl Into<String>, database: PostgresDatabase) -> Attempt {
        let (how, host) = (how.into(), self.met.number);
        Attempt { how, database, host, is_whole: true, fix: None, correction: None }
    }

    /// With the same password, host and transport. Programs of others may not know the parameter.
    fn of_pool(&self) -> Attempt {
        let pooled = |url: &str| url::with_parameter(url, "pgbouncer", "true");
        let database = PostgresDatabase {
            url: Secret::new(pooled(self.database.url.expose())),
            pgbouncer: true,
            ..self.database.clone()
        };
        let correction = self.in_url(|url| self.sources.is_ours().then(|| pooled(url)));
        let fix = self.subject.line(|url| Some(pooled(url)));
        Attempt { fix, correction, ..self.attempt("with pgbouncer=true", database) }
    }

    /// With the same password, host and transport.
    fn of_near_database(&self) -> Option<Attempt> {
        let near = self.met.near.as_deref()?;
        let named = |url: &str| url::with_database(url, near);
        let url = Secret::new(named(self.database.url.expose()));
        let database = PostgresDatabase { url, ..self.database.clone() };
        let correction = self.in_url(|url| Some(named(url)));
        let fix = self.subject.line(|url| Some(named(url)));
        let how = format!("with the database {}", identifier(near));
        Some(Attempt { fix, correction, ..self.attempt(how, database) })
    }

    /// Other readings of the password that stands there, and other passwords beside it.
    fn of_password(&self) -> Vec<Attempt> {
        let raw = url::password(self.database.url.expose());
        let text = match (raw, &self.database.password) {
            (Some(raw), _) => Secret::new(percent_decoded(raw)),
            (None, Some(password)) => password.clone(),
            (None, None) => return Vec::new(),
        };
        let text = text.expose();
        let others = [
            ("as it stands there, which needs its % encoded", raw.map(str::to_owned)),
            ("decoded once more", Some(percent_decoded(text))),
            ("without the blanks around it", Some(text.trim().to_owned())),
            ("without the quotes around it", Some(text.trim_matches(['"', '\'']).to_owned())),
        ];
        let of_one = |(how, other): (&str, Option<String>)| {
            let other =
                other.filter(|other| other != text && !other.is_empty()).map(Secret::new)?;
            let correction = match raw {
                Some(_) => self.in_url(|url| url::with_password(url, other.expose())),
                None => Some(self.in_password(&other)),
            };
            let how = format!("with the password {how}");
            Some(Attempt { correction, ..self.attempt(how, self.with_password(other)) })
        };
        let readings = others.into_iter().filter_map(of_one);
        readings.chain(self.of_passwords_beside(Some(text))).collect()
    }

    /// Passwords of other settings that are for this very server, but for `known`, which is in force.
    fn of_passwords_beside(&self, known: Option<&str>) -> Vec<Attempt> {
        let last = Last::of(&self.sources.written);
        let user = url::user(self.database.url.expose()).map(percent_decoded);
        // Who says where, or as whom, says for whom the password beside it is.
        let agrees = |names: &[&str], own: &str| {
            names.iter().filter_map(|name| last.value(name)).all(|value| value == own)
        };
        let is_of_it = agrees(&["POSTGRES_HOST", "PGHOST"], &self.met.host.name)
            && user.is_some_and(|user| agrees(&["POSTGRES_USER", "PGUSER"], &user));
        let others = PASSWORDS.into_iter().filter(|name| is_of_it || *name == OWN_PASSWORD);
        let of_one = |name: &'static str| {
            let password = last.expanded(last.find(name)?);
            if password.expose().is_empty() || Some(password.expose().as_str()) == known {
                return None;
            }
            let is_written = last.is_in_file(name) && self.database.password.is_none();
            let correction = self
                .in_url(|url| url::with_password(url, password.expose()).filter(|_| is_written));
            let fix = self.subject.line(|url| url::with_password(url, "PASSWORD"));
            let how = format!("with the password of {name}");
            Some(Attempt { fix, correction, ..self.attempt(how, self.with_password(password)) })
        };
        others.filter_map(of_one).collect()
    }

    /// Better protected, but another transport.
    fn of_tls(&self) -> Vec<Attempt> {
        let of_one = |mode: &'static str| {
            let with_mode = |url: &str| url::with_parameter(url, "sslmode", mode);
            let bare = self.without_password();
            let url = Secret::new(with_mode(bare.url.expose()));
            let correction = self.in_url(|url| Some(with_mode(url)));
            let attempt = self
                .attempt(format!("with sslmode={mode}"), PostgresDatabase { url, ..bare.clone() });
            Attempt {
                is_whole: false,
                fix: self.subject.line(|url| Some(with_mode(url))),
                correction,
                ..attempt
            }
        };
        ["verify-full", "require"].map(of_one).into()
    }

    /// Where a server may be that is not where it was expected.
    fn of_place(&self) -> Vec<Attempt> {
        const NEIGHBOURS: [&str; 4] = ["127.0.0.1", "postgres", "db", "host.docker.internal"];
        let (host, port) = (self.met.host.name.as_str(), self.met.host.port);
        if self.met.host.is_socket {
            return Vec::new();
        }
        let other_port = if port == PORT { POOL_PORT } else { PORT };
        let is_near = host == "localhost" || NEIGHBOURS.contains(&host) || !host.contains('.');
        let neighbours = NEIGHBOURS.iter().filter(|other| is_near && **other != host);
        let of_one = |host: &&str| {
            let place = place(host, port);
            let bare = self.without_password();
            let url = Secret::new(url::at(bare.url.expose(), &place));
            let attempt = self.attempt(format!("at {place}"), PostgresDatabase { url, ..bare });
            Attempt { host: 0, is_whole: false, ..attempt }
        };
        self.at_port(other_port).into_iter().chain(neighbours.map(of_one)).collect()
    }

    /// At the same host. That a server is there says that it is this one only where one of the two ports
    /// was written for the other.
    fn at_port(&self, port: u16) -> Option<Attempt> {
        let moved = |url: &str| url::with_port(url, port);
        let bare = self.without_password();
        let database = PostgresDatabase { url: Secret::new(moved(bare.url.expose())?), ..bare };
        let is_pair = [PORT, POOL_PORT].contains(&self.met.host.port);
        let correction = self.in_url(|url| moved(url).filter(|_| is_pair));
        let attempt = self.attempt(format!("at {}", place(&self.met.host.name, port)), database);
        let fix = self.subject.line(moved);
        Some(Attempt { host: 0, is_whole: false, fix, correction, ..attempt })
    }

    /// A change of the URL where it stands.
    fn in_url(&self, change: impl FnOnce(&str) -> Option<String>) -> Option<Correction> {
        Some((Configured::of(self.sources, URL), self.subject.corrected(change)?))
    }

    /// Another value of `DATABASE_PASSWORD`.
    fn in_password(&self, password: &Secret<String>) -> Correction {
        (Configured::of(self.sources, OWN_PASSWORD), password.clone())
    }

    fn with_password(&self, password: Secret<String>) -> PostgresDatabase {
        PostgresDatabase { password: Some(password), ..self.without_password() }
    }

    fn without_password(&self) -> PostgresDatabase {
        let url = Secret::new(url::without_password(self.database.url.expose()));
        PostgresDatabase { url, password: None, ..self.database.clone() }
    }
}
