//! The machine that doctor runs on: whether it is a container, where `localhost` is nobody else.
//!
//! Docker and Podman leave a mark in the root folder. It is looked for under a root that is an argument, so that
//! a test can say what it is.

use std::path::{Path, PathBuf};

use nightlatch_store::redis::RedisAddress;

use super::env::{at, is_redis, role};
use super::finding::Finding;
use super::shown::shown;
use super::written::{Last, Written};
use crate::config::ProblemLevel::Info;
use crate::config::redis_url;

/// What Docker and Podman put into each container.
const MARKS: [&str; 2] = [".dockerenv", "run/.containerenv"];

/// The finding of it, which is moot once somebody was asked.
pub const CONTAINER_LOCALHOST: &str = "container-localhost";

/// A machine, as its files show it.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn here() -> Self {
        Self::at(Path::new("/"))
    }

    /// One whose files are in this folder.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Whether it is a container.
    pub(super) fn is_container(&self) -> bool {
        MARKS.iter().any(|mark| self.root.join(mark).exists())
    }

    /// What to add where a host refuses us that is this container itself.
    pub(super) fn remark(&self, host: &str) -> &'static str {
        if is_here(host) && self.is_container() {
            ". This is a container: what runs beside it, or on its host, has another name"
        } else {
            ""
        }
    }

    /// Settings that lead to this very container, of which nothing better is `told`. Who shares its network
    /// may be there all the same.
    pub(super) fn examine(&self, all: &[Written], told: &[Finding]) -> Vec<Finding> {
        if !self.is_container() {
            return Vec::new();
        }
        let last = Last::of(all);
        let is_told = |it: &Written| {
            told.iter()
                .any(|one| one.id.starts_with("compose-") && one.name.as_ref() == Some(&it.name))
        };
        let of_one = |written: &&Written| {
            let value = last.expanded(written);
            let text = if written.name.ends_with("REDIS_HOST") {
                is_here(value.expose()).then_some(None)?
            } else {
                role(&last, written).filter(|_| is_redis(written))?;
                let url = redis_url::parse(value.expose()).ok()?;
                let RedisAddress::Tcp { host, .. } = &url.address else { return None };
                is_here(host).then(|| shown(&url))?
            };
            let why = "leads to this container itself, where `localhost` is: a Redis beside it, or on the \
                       host, has another name (its service's, host.docker.internal)";
            Some(at(written, Finding { text, ..Finding::new(CONTAINER_LOCALHOST, Info, why) }))
        };
        last.in_order().iter().filter(|it| !is_told(it)).filter_map(of_one).collect()
    }
}

/// Whether a host is whoever asks.
pub(super) fn is_here(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::doctor::env::{examine_env_file, read_lines};

    #[test]
    fn a_localhost_in_a_container_is_told_and_elsewhere_not() {
        let text = "REDIS_URL=redis://:hunter2@localhost:6379/0\nCACHE_REDIS_HOST=127.0.0.1\n\
                    REDIS_CACHE_URL=redis://redis:6379/1\nDATABASE_URL=postgres://localhost/db\n";
        let (written, _) = read_lines(".env", text);
        let root = tempfile::tempdir().expect("a temporary folder");
        let machine = Machine::at(root.path());
        let lines = || {
            let found = machine.examine(&written, &[]);
            assert!(found.iter().all(|it| !format!("{it:?}").contains("hunter2")), "{found:?}");
            found.iter().map(|it| it.line.unwrap_or_default()).collect::<Vec<_>>()
        };
        assert!(lines().is_empty());
        assert_eq!(machine.remark("localhost"), "");
        for mark in MARKS {
            fs::create_dir_all(root.path().join("run")).expect("our folder");
            fs::write(root.path().join(mark), "").expect("our folder takes a file");
            assert_eq!(lines(), [1, 2], "{mark}");
            assert!(!machine.remark("::1").is_empty() && machine.remark("redis").is_empty());
            fs::remove_file(root.path().join(mark)).expect("it is there");
        }
        fs::write(root.path().join(MARKS[0]), "").expect("our folder takes a file");
        // A compose file beside it knows more.
        let env = root.path().join(".env");
        fs::write(&env, "REDIS_URL=redis://localhost:6379/0\n").expect("our folder takes a file");
        let compose =
            "services:\n  web:\n    build: .\n    env_file: .env\n  redis:\n    image: redis\n";
        fs::write(root.path().join("compose.yaml"), compose).expect("our folder takes a file");
        let ids: Vec<_> = examine_env_file(&env, false, &machine).iter().map(|it| it.id).collect();
        assert_eq!(ids, ["compose-localhost"]);
    }
}
