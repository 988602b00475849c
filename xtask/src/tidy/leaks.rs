//! No secret, no address of an inner network and no path of somebody's machine is tracked.
//!
//! What was once pushed stays readable; the example domains and key names of documents suffice.

use super::tree::{Finding, Tree};

/// Says what it looks for, so it would find itself.
const OWN: &str = "xtask/src/tidy/leaks.rs";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources.iter().filter(|source| source.path != OWN) {
        for (number, line) in (1..).zip(source.text.lines()) {
            let found = |what: &str, fix: &str| Finding::new(&source.path, number, what, fix);
            if let Some(start) = MACHINE_PATHS.iter().find(|start| has_path(line, start)) {
                let fix = "a path from the root of the repository, a temporary directory, or /srv";
                findings.push(found(&format!("a path of one machine ({start}…)"), fix));
            }
            if let Some(suffix) = INNER_HOSTS.iter().find(|suffix| has_host(line, suffix)) {
                let fix = "use example.org, a name under .test, or 127.0.0.1";
                findings.push(found(&format!("a host of an inner network (…{suffix})"), fix));
            }
            if let Some(start) = SECRETS.iter().find(|start| has_secret(line, start)) {
                let fix = "take it out and make it invalid; tests make their own keys";
                findings.push(found(&format!("what looks like a secret ({start}…)"), fix));
            }
        }
    }
    findings
}

const MACHINE_PATHS: &[&str] = &["/work/", "/root/", "/home/", "/Users/", "C:\\Users"];

const INNER_HOSTS: &[&str] = &[".internal", ".intranet", ".corp", ".lan", ".localdomain"];

/// Beginnings of things that no document or test needs whole.
const SECRETS: &[&str] =
    &["AKIA", "ghp_", "github_pat_", "glpat-", "xoxb-", "sk_live_", "npm_", "PRIVATE KEY-----"];

/// A path that begins here, not one that has such a directory in its middle.
fn has_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '}' | '~'))
    })
}

/// A name under the suffix right behind what a host stands behind in a URL or an address.
fn has_host(line: &str, suffix: &str) -> bool {
    line.match_indices(suffix).any(|(at, _)| {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.');
        let ends = !line[at + suffix.len()..].starts_with(is_part);
        let host_at = line[..at].rfind(|c| !is_part(c)).map_or(0, |before| before + 1);
        ends && at > host_at && (line[..host_at].ends_with("://") || line[..host_at].ends_with('@'))
    })
}

/// A beginning with at least sixteen characters of its kind behind it; a key with lines behind it.
fn has_secret(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        if start.ends_with("-----") {
            return line[..at].contains("-----BEGIN");
        }
        let before = line[..at].bytes().next_back();
        let rest = line[at + start.len()..].bytes();
        !before.is_some_and(|byte| byte.is_ascii_alphanumeric())
            && rest.take_while(u8::is_ascii_alphanumeric).count() >= 16
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    #[test]
    fn what_belongs_to_one_machine_is_stopped() {
        for (text, stopped) in [
            ("cd /root/nightlatch", true),
            ("\"/home/alice/.env\"", true),
            ("target/work/a", false),
            ("$dir/work/a", false),
            ("../work/a", false),
            ("/srv/nightlatch", false),
            ("postgres://db.internal/x", true),
            ("https://wiki.corp", true),
            ("https://corp.example.org", false),
            ("self.lan", false),
            ("https://a.lanes.example", false),
            ("AKIAIOSFODNN7EXAMPLE", true),
            ("token ghp_0123456789abcdefghij", true),
            ("ghp_", false),
            ("-----BEGIN PRIVATE KEY-----", true),
            ("a PRIVATE KEY", false),
        ] {
            assert_eq!(!places(check, &[("docs/a.md", text)]).is_empty(), stopped, "{text}");
        }
    }
}
