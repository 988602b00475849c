//! A `DATABASE_URL` that the server does not take, as it was meant: `SQLAlchemy`, Django and JDBC tell drivers
//! apart by schemes of their own, and a password is pasted as it is.
//!
//! Tried before it is believed: what it leads to says whether it was meant so.

use nightlatch_core::Secret;
use percent_encoding::utf8_percent_encode;

use super::super::configured::Configured;
use super::super::finding::Finding;
use super::super::shown::UNRESERVED;
use super::super::sources::Sources;
use super::super::written::Last;
use super::{URL, postgres};
use crate::config::ProblemLevel::Error;
use crate::config::{Config, Database, is_of_postgres, postgres_url};

/// The findings that another reading may put right.
const READABLE: [&str; 2] = ["database-url-scheme", "database-password-unencoded"];

/// Of what the server says of it, with what was tried. `None`: there is no other reading.
pub(super) async fn examine(sources: &Sources, said: &[Finding]) -> Option<Finding> {
    let finding = said.iter().find(|it| READABLE.contains(&it.id))?;
    let subject = Configured::of(sources, URL);
    let meant = subject.corrected(meant)?;
    let last = Last::of(&sources.written);
    let values: Vec<(&str, Secret<String>)> =
        last.in_order().iter().map(|it| (it.name.as_str(), last.expanded(it))).collect();
    let others = values.iter().filter(|(name, _)| *name != URL);
    let others = others.map(|(name, value)| (*name, value.expose().as_str()));
    let loaded = Config::examine_values(others.chain([(URL, meant.expose().as_str())]));
    let Database::Postgres(database) = &loaded.config.database else { return None };
    let mut found = Vec::new();
    postgres::examine(sources, &subject, database, &mut found).await;
    let shown = postgres_url::parse(meant.expose()).ok()?.shown;
    let fix = subject.line_of(&shown);
    let finding = Finding { fix: fix.or_else(|| finding.fix.clone()), ..finding.clone() };
    if found.iter().any(|it| it.level == Error) || found.is_empty() {
        let why = match found.iter().find(|it| it.level == Error) {
            Some(other) => format!("{}. Read so, it {}", finding.why, other.why),
            None => finding.why,
        };
        return Some(Finding { why, ..finding });
    }
    let why = format!("{}. Tried: it works so", finding.why);
    Some(Finding { why, correction: Some(meant), ..finding })
}

/// The URL with the scheme that is taken and its password encoded, if that makes it one that says nothing
/// else.
fn meant(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    if !is_of_postgres(scheme) {
        return None;
    }
    let plain = format!("postgres://{rest}");
    let is_whole = |text: &str| postgres_url::parse(text).is_ok_and(|it| it.remarks.is_empty());
    if is_whole(&plain) {
        return Some(plain);
    }
    let (user_info, at) = rest.rsplit_once('@')?;
    let (user, password) = user_info.split_once(':')?;
    // What follows the first @ may be the host as well.
    let between = password.split_once('@').map_or("", |(_, between)| between);
    if between.contains(['/', '?', '#']) {
        return None;
    }
    let password = utf8_percent_encode(password, UNRESERVED);
    let encoded = format!("postgres://{user}:{password}@{at}");
    is_whole(&encoded).then_some(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_of_drivers_and_passwords_as_they_are_have_one_meaning() {
        for (text, expected) in [
            ("postgresql+psycopg://u:p@h/db", Some("postgres://u:p@h/db")),
            (
                "postgres+asyncpg://u@h:1/db?sslmode=require",
                Some("postgres://u@h:1/db?sslmode=require"),
            ),
            ("jdbc:postgresql://h/db?user=u&password=p", Some("postgres://h/db?user=u&password=p")),
            ("postgis://u:p%40@h/db", Some("postgres://u:p%40@h/db")),
            ("postgres://u:a/b#c%@h/db", Some("postgres://u:a%2Fb%23c%25@h/db")),
            ("postgres://u:p@ss@h/db", Some("postgres://u:p%40ss@h/db")),
            ("psql://u:p w@h/db", Some("postgres://u:p%20w@h/db")),
            // Its parameters would be lost, TLS perhaps with them.
            ("postgresql+asyncpg://u:p@h/db?ssl=require", None),
            // Either of two is the host.
            ("postgres://u:p@a.example/db@b.example/db", None),
            ("mysql://u:p@h/db", None),
            ("postgres", None),
        ] {
            assert_eq!(meant(text).as_deref(), expected, "{text}");
        }
    }
}
