//! Corrections that are tried, to say which one works.
//!
//! A password is tried only at the hosts and over the transport that are configured. Another host or
//! transport is tried without one: that it asks for a password says enough.

use nightlatch_core::{FailureClass as Class, Secret};
use nightlatch_store::postgres::inspect::PostgresCause as Cause;

use super::super::configured::Configured;
use super::super::finding::{Finding, Remedy};
use super::super::shown::place;
use super::postgres::Failed;
use super::refusal::Met;
use super::url;
use crate::app::postgres_inspector;
use crate::config::PostgresDatabase;
use crate::config::percent::percent_decoded;

/// The most that are tried.
const TRIES_MAX: usize = 5;

/// The port that PostgreSQL listens on as it comes.
const PORT: u16 = 5432;

/// Something that may put it right.
struct Attempt {
    /// Ends "it works ..".
    how: String,
    database: PostgresDatabase,
    host: usize,
    /// Whether it may log in there.
    is_whole: bool,
    fix: Option<String>,
}

/// One that worked.
pub(super) struct Found {
    how: String,
    fix: Option<String>,
    was_whole: bool,
}

impl Found {
    /// What was seen of a server, with what puts it right.
    pub(super) fn add_to(self, finding: Finding) -> Finding {
        let tried = if self.was_whole { "Tried: it works" } else { "Tried: a PostgreSQL answers" };
        let why = format!("{}. {tried} {}", finding.why, self.how);
        match self.fix {
            Some(fix) => Finding { why, fix: Some(fix), remedy: Remedy::Write, ..finding },
            None => Finding { why, ..finding },
        }
    }
}

/// The first correction that works.
pub(super) async fn search(
    subject: &Configured,
    database: &PostgresDatabase,
    met: &Met,
) -> Option<Found> {
    for attempt in attempts(subject, database, met).into_iter().take(TRIES_MAX) {
        if works(&attempt).await {
            let Attempt { how, is_whole: was_whole, fix, .. } = attempt;
            return Some(Found { how, fix, was_whole });
        }
    }
    None
}

async fn works(attempt: &Attempt) -> bool {
    let Ok(inspector) = postgres_inspector(&attempt.database) else { return false };
    let asks = |class| matches!(class, Class::AuthRequired | Class::AuthFailed);
    match inspector.visit(attempt.host).await {
        Ok(_) => true,
        Err(refused) => !attempt.is_whole && asks(refused.class),
    }
}

fn attempts(subject: &Configured, database: &PostgresDatabase, met: &Met) -> Vec<Attempt> {
    match met.failed {
        Failed::Unreached(Class::Unreachable | Class::Dns | Class::Timeout) => {
            of_place(database, met)
        }
        Failed::Unreached(_) => Vec::new(),
        Failed::Refused(refused) => match (refused.class, refused.cause) {
            (_, Some(Cause::Pool)) => of_pool(subject, database, met),
            (Class::AuthFailed, None) => of_password(database, met),
            (Class::TlsRequired, _) => of_tls(subject, database, met),
            _ => Vec::new(),
        },
    }
}

/// With the same password, host and transport.
fn of_pool(subject: &Configured, database: &PostgresDatabase, met: &Met) -> Vec<Attempt> {
    let pooled = |url: &str| url::with_parameter(url, "pgbouncer", "true");
    let database = PostgresDatabase {
        url: Secret::new(pooled(database.url.expose())),
        pgbouncer: true,
        ..database.clone()
    };
    let how = "with pgbouncer=true".to_owned();
    vec![Attempt { how, database, host: met.number, is_whole: true, fix: subject.line(pooled) }]
}

/// Other readings of the password that stands there.
fn of_password(database: &PostgresDatabase, met: &Met) -> Vec<Attempt> {
    let url = database.url.expose();
    let (raw, text) = match (url::password(url), &database.password) {
        (Some(raw), _) => (Some(raw.to_owned()), Secret::new(percent_decoded(raw))),
        (None, Some(password)) => (None, password.clone()),
        (None, None) => return Vec::new(),
    };
    let text = text.expose();
    let others = [
        ("with the password as it stands there, which needs its % encoded", raw),
        ("with the password decoded once more", Some(percent_decoded(text))),
        ("without the blanks around the password", Some(text.trim().to_owned())),
        ("without the quotes around the password", Some(text.trim_matches(['"', '\'']).to_owned())),
    ];
    let of_one = |(how, other): (&str, Option<String>)| {
        let other = other.filter(|other| other != text && !other.is_empty()).map(Secret::new)?;
        let password = Some(other);
        let url = Secret::new(url::without_password(url));
        let database = PostgresDatabase { url, password, ..database.clone() };
        Some(Attempt { how: how.to_owned(), database, host: met.number, is_whole: true, fix: None })
    };
    others.into_iter().filter_map(of_one).collect()
}

/// Better protected, but another transport.
fn of_tls(subject: &Configured, database: &PostgresDatabase, met: &Met) -> Vec<Attempt> {
    let of_one = |mode: &'static str| {
        let with_mode = |url: &str| url::with_parameter(url, "sslmode", mode);
        let bare = without_password(database);
        let database = PostgresDatabase { url: Secret::new(with_mode(bare.url.expose())), ..bare };
        let fix = subject.line(with_mode);
        let how = format!("with sslmode={mode}");
        Attempt { how, database, host: met.number, is_whole: false, fix }
    };
    ["verify-full", "require"].map(of_one).into()
}

/// Where a server may be that is not where it was expected.
fn of_place(database: &PostgresDatabase, met: &Met) -> Vec<Attempt> {
    const NEIGHBOURS: [&str; 4] = ["127.0.0.1", "postgres", "db", "host.docker.internal"];
    let (host, port) = (met.host.name.as_str(), met.host.port);
    if met.host.is_socket {
        return Vec::new();
    }
    let here = (port != PORT).then_some((host, PORT));
    let is_near = host == "localhost" || NEIGHBOURS.contains(&host) || !host.contains('.');
    let neighbours = NEIGHBOURS.iter().filter(|other| is_near && **other != host);
    let places = here.into_iter().chain(neighbours.map(|other| (*other, port)));
    let of_one = |(host, port): (&str, u16)| {
        let place = place(host, port);
        let bare = without_password(database);
        let database =
            PostgresDatabase { url: Secret::new(url::at(bare.url.expose(), &place)), ..bare };
        Attempt { how: format!("at {place}"), database, host: 0, is_whole: false, fix: None }
    };
    places.map(of_one).collect()
}

fn without_password(database: &PostgresDatabase) -> PostgresDatabase {
    let url = Secret::new(url::without_password(database.url.expose()));
    PostgresDatabase { url, password: None, ..database.clone() }
}
