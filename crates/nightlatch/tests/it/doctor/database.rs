//! `doctor database` beside real databases in each state.

mod postgres;
mod refused;
mod sqlite;

use nightlatch_testkit::process::free_port;

use super::{Verdict, doctor};

/// Runs it on one URL.
fn of_url(url: &str) -> Verdict {
    doctor("database", &format!("DATABASE_URL={url}\n"))
}

/// Exactly this is wrong, and scripts are told.
fn assert_wrong(url: &str, ids: &[&str]) -> Verdict {
    judge(url, of_url(url), ids)
}

fn judge(what: &str, found: Verdict, ids: &[&str]) -> Verdict {
    assert_eq!(found.wrong(), ids, "{what}: {:#?}", found.findings);
    let has_error = found.findings.iter().any(|finding| finding["level"] == "error");
    assert_eq!(found.code, Some(i32::from(has_error)), "{what}");
    found
}

fn fix<'a>(found: &'a Verdict, id: &str) -> &'a str {
    found.find(id)["fix"].as_str().unwrap_or_else(|| panic!("no fix: {:#?}", found.findings))
}

fn why<'a>(found: &'a Verdict, id: &str) -> &'a str {
    found.find(id)["why"].as_str().expect("a text")
}

#[test]
fn what_is_taken_otherwise_is_told() {
    let url = format!("postgres://u:sesame@127.0.0.1:{}/db?sslmod=require", free_port());
    assert_wrong(&url, &["database-unreachable", "setting-doubtful"]);
}

#[test]
fn a_url_that_makes_no_sense_leads_nowhere() {
    assert_wrong("mysql://u:sesame@127.0.0.1/db", &["setting-unusable"]);
}
