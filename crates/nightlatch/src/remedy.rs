//! What a class of failure comes to: which finding of the doctor's it is, and what to try, in one line.
//!
//! The class is for dashboards; whoever reads the log wants to know which line to change. Log, health and
//! doctor name the same finding, so what one says leads to the page that the others lead to.

mod auth_service;
mod database;
mod redis;

pub(crate) use self::auth_service::of_auth_service;
pub(crate) use self::database::of_database;
pub(crate) use self::redis::of_redis;

/// What to do about a class of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// What it is: a page of `docs/findings.md`.
    pub(crate) finding: &'static str,
    /// What to change; `None`: time, or whoever runs it, has to mend it.
    pub(crate) fix: Option<&'static str>,
}

impl Remedy {
    const fn of(finding: &'static str, fix: &'static str) -> Self {
        Self { finding, fix: Some(fix) }
    }

    const fn by_time(finding: &'static str) -> Self {
        Self { finding, fix: None }
    }
}

#[cfg(test)]
mod tests {
    use nightlatch_core::FailureClass;

    use super::*;

    /// Whoever is in trouble does what is said, and leaves it so.
    #[test]
    fn nobody_is_told_to_weaken_what_protects_him() {
        const WEAKER: [&str; 9] = [
            "disable",
            "lower",
            "prefer",
            "sslmode=require",
            "none",
            "trust",
            "without TLS",
            "without a password",
            "pg_hba.conf",
        ];
        for class in FailureClass::ALL {
            for remedy in [of_database(class), of_redis(class), of_auth_service(class)] {
                let fix = remedy.fix.unwrap_or_default();
                let said = WEAKER.into_iter().find(|weaker| fix.contains(weaker));
                let is_negated =
                    fix.contains("takes nobody without TLS") || fix.contains("shows none");
                assert!(said.is_none() || is_negated, "{class}: {fix}");
            }
        }
    }
}
