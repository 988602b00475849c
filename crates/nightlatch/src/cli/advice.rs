//! What to do about a database that gives no answer, in words for who runs the command.
//!
//! Who stands at a terminal wants to know which database it was, who said so, and what to try. What that is
//! the remedies say, as in log and health.

use anyhow::anyhow;
use nightlatch_core::{Outcome, StoreError, StoreErrorKind};

use crate::config::{InForce, Report};
use crate::remedy::of_database;

/// Knows which database it is about.
pub(super) struct Advisor {
    /// `DATABASE_URL`, as far as it may be seen, and where it came from.
    setting: String,
}

impl Advisor {
    /// For the database that is in force.
    pub(super) fn new(report: &Report) -> Self {
        let in_force = report.in_force.iter().find(|f| f.setting.name == SETTING);
        let setting = in_force.map_or_else(
            || SETTING.to_owned(),
            |InForce { value, origin, .. }| format!("{SETTING} = {value} ({origin})"),
        );
        Self { setting }
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
        let Self { setting } = self;
        let (what, advice) = (told(&error, failure), advice(failure));
        anyhow!("{what}\n  which: {setting}{doubt}\n  what to do: {advice}")
    }
}

fn advice(failure: &StoreError) -> String {
    if failure.kind() == StoreErrorKind::Overloaded {
        return "try again in a moment: the database has more to do than it can".to_owned();
    }
    let remedy = of_database(failure.class());
    let first = remedy.fix.unwrap_or("try again in a moment");
    format!("{first}; `nightlatch doctor database` says more ({})", remedy.finding)
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

#[cfg(test)]
mod tests {
    use nightlatch_core::FailureClass;

    use super::*;
    use crate::config::Config;

    fn explained(url: &str, kind: StoreErrorKind, class: FailureClass, outcome: Outcome) -> String {
        let loaded = Config::from_values([("DATABASE_URL", url)]).unwrap();
        let advisor = Advisor::new(&loaded.report);
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
        let has = [
            "(unreachable)",
            "connection refused",
            "postgres://u:***@db/x",
            "start PostgreSQL",
            "doctor database",
        ];
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
        let advisor = Advisor::new(&loaded.report);
        assert_eq!(advisor.explain(anyhow!("no")).to_string(), "no");
    }
}
