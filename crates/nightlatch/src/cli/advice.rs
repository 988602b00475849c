//! What to do about a database that gives no answer, in words for who runs the command.
//!
//! The class of a failure is for dashboards. Who stands at a terminal wants to know which database
//! it was, who said so, and what to try.

use anyhow::anyhow;
use nightlatch_core::{FailureClass, Outcome, StoreError, StoreErrorKind};

use crate::config::{Database, InForce, Report};

/// Knows which database it is about.
pub(super) struct Advisor {
    /// `DATABASE_URL`, as far as it may be seen, and where it came from.
    setting: String,
    is_file: bool,
}

impl Advisor {
    /// For the database that is in force.
    pub(super) fn new(database: &Database, report: &Report) -> Self {
        let in_force = report.in_force.iter().find(|f| f.setting.name == SETTING);
        let setting = in_force.map_or_else(
            || SETTING.to_owned(),
            |InForce { value, origin, .. }| format!("{SETTING} = {value} ({origin})"),
        );
        let is_file = match database {
            Database::Sqlite { .. } => true,
            Database::Postgres(_) => false,
        };
        Self { setting, is_file }
    }

    /// Adds what to do to an error of the record; any other is left alone.
    pub(super) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        self.add(error, |failure| failure.outcome() == Outcome::Unknown)
    }

    /// The same for what leaves nobody in doubt whether it happened: it is done anew each time.
    pub(super) fn explain_repeated(&self, error: anyhow::Error) -> anyhow::Error {
        self.add(error, |_| false)
    }

    fn add(
        &self,
        error: anyhow::Error,
        is_doubtful: impl FnOnce(&StoreError) -> bool,
    ) -> anyhow::Error {
        let Some(failure) = error.downcast_ref::<StoreError>() else { return error };
        let doubt = if is_doubtful(failure) { DOUBT } else { "" };
        let Self { setting, .. } = self;
        let (what, advice) = (told(&error, failure), self.advice(failure));
        anyhow!("{what}\n  which: {setting}{doubt}\n  what to do: {advice}")
    }

    fn advice(&self, failure: &StoreError) -> &'static str {
        if failure.kind() == StoreErrorKind::Overloaded {
            return "try again in a moment: the database has more to do than it can";
        }
        if self.is_file { of_file(failure.class()) } else { of_server(failure.class()) }
    }
}

/// What the command was at, that the database failed it, and in whose words.
fn told(error: &anyhow::Error, failure: &StoreError) -> String {
    let class = failure.class();
    let parts = error.chain().map(|cause| match cause.downcast_ref::<StoreError>() {
        Some(_) => format!("the database cannot be used ({class})"),
        None => cause.to_string(),
    });
    parts.collect::<Vec<_>>().join(": ")
}

const SETTING: &str = "DATABASE_URL";

/// True of every command: each says so if there is nothing left to do.
const DOUBT: &str = "\n  it may have happened all the same; running the command again does no harm";

fn of_file(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Missing => {
            "run this where the server runs, or name its settings with --env-file; `nightlatch \
             migrate` makes a new, empty database, if its directory is there"
        }
        FailureClass::Forbidden => "run this as the user that the server runs as",
        FailureClass::Readonly => {
            "let the user that runs this write to the file and its directory, or run this as the \
             user that the server runs as"
        }
        FailureClass::Locked | FailureClass::Timeout | FailureClass::Busy => {
            "find the process that holds the file (`fuser -v FILE`), or try again in a moment"
        }
        FailureClass::DiskFull => "make room on the disk",
        FailureClass::Corrupt => {
            "check that the file is Nightlatch's; if it is damaged, restore the newest backup"
        }
        FailureClass::Schema => {
            "check that the file is Nightlatch's, and of this release or an earlier one"
        }
        _ => "look at the system's log for what the disk says (`dmesg`), then try again",
    }
}

fn of_server(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Unreachable | FailureClass::Timeout | FailureClass::Closed => {
            "check that PostgreSQL runs there and can be reached from here (`pg_isready`), or \
             correct the URL"
        }
        FailureClass::Dns => "check the host name in the URL, and that this machine can resolve it",
        FailureClass::AuthFailed | FailureClass::AuthRequired => {
            "correct the user in the URL or DATABASE_PASSWORD; pg_hba.conf must allow them from here"
        }
        FailureClass::Forbidden => {
            "give the role the right: it needs to create the schema once, then to read and write it"
        }
        FailureClass::Readonly => {
            "name the primary in the URL: this server takes no writes (`target_session_attrs=\
             read-write` finds it among several hosts)"
        }
        FailureClass::Missing => "create the database (`createdb`), or correct its name in the URL",
        FailureClass::TooManyConnections => {
            "raise max_connections, or end some connections: PostgreSQL takes no more"
        }
        FailureClass::Locked | FailureClass::Busy | FailureClass::Loading => {
            "try again in a moment; `pg_stat_activity` shows who holds what"
        }
        FailureClass::DiskFull => "make room on PostgreSQL's disk",
        FailureClass::Schema => {
            "check DATABASE_SCHEMA: what is there is not Nightlatch's, or was changed by hand"
        }
        FailureClass::TlsUntrusted
        | FailureClass::TlsExpired
        | FailureClass::TlsHostname
        | FailureClass::TlsClientCert
        | FailureClass::TlsVersion => {
            "check PostgreSQL's certificate, and `sslmode` and `sslrootcert` in the URL"
        }
        FailureClass::TlsNotSpoken => {
            "switch on `ssl` in PostgreSQL, or lower `sslmode` in the URL"
        }
        FailureClass::TlsRequired => "set `sslmode=require` or higher in the URL",
        _ => "look at PostgreSQL's log, then try again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn explained(url: &str, kind: StoreErrorKind, class: FailureClass, outcome: Outcome) -> String {
        let loaded = Config::from_values([("DATABASE_URL", url)]).unwrap();
        let advisor = Advisor::new(&loaded.config.database, &loaded.report);
        let error = StoreError::new(kind, class, outcome, "listing users")
            .with_source("connection refused");
        advisor.explain(error.into()).to_string()
    }

    #[test]
    fn an_error_names_what_happened_which_database_and_what_to_do() {
        use StoreErrorKind::Unavailable;
        let url = "postgres://u:hunter2@db/x";
        let class = FailureClass::Unreachable;
        let text = explained(url, Unavailable, class, Outcome::NotApplied);
        let has = ["(unreachable)", "connection refused", "postgres://u:***@db/x", "pg_isready"];
        assert!(has.iter().all(|part| text.contains(part)), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("may have happened"), "{text}");

        let text = explained(url, Unavailable, FailureClass::Closed, Outcome::Unknown);
        assert!(text.contains("may have happened"), "{text}");
        let text =
            explained("sqlite:///x.db", Unavailable, FailureClass::Locked, Outcome::NotApplied);
        assert!(text.contains("fuser"), "{text}");
    }

    #[test]
    fn other_errors_are_left_alone() {
        let loaded = Config::from_values([("DATABASE_URL", "sqlite:///x.db")]).unwrap();
        let advisor = Advisor::new(&loaded.config.database, &loaded.report);
        assert_eq!(advisor.explain(anyhow!("no")).to_string(), "no");
    }
}
