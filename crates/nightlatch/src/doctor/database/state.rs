//! What a PostgreSQL that answers says of itself, judged: what will fail soon, or is open.

use std::time::Duration;

use nightlatch_core::FailureClass;
use nightlatch_store::postgres::inspect::{Pooling, PostgresInspector, PostgresState};

use super::super::configured::Configured;
use super::super::finding::Finding;
use super::refusal::place_of;
use super::rights::identifier;
use super::url::with_parameter;
use crate::config::ProblemLevel::{Info, Warn};

/// The least version that is maintained by anybody.
const VERSION_MIN: i32 = 130_000;

/// What of a limit may be taken before it is told, in percent.
const TAKEN_MAX: i64 = 90;

/// Statements take less unless something is wrong.
const STATEMENT_MIN: Duration = Duration::from_secs(1);

/// What was seen of a server.
pub(super) struct Seen<'a> {
    pub(super) state: &'a PostgresState,
    pub(super) pooling: Option<Pooling>,
    /// Why it cannot be listened to.
    pub(super) deafness: Option<FailureClass>,
}

/// What it says of itself.
pub(super) fn judge(
    subject: &Configured,
    inspector: &PostgresInspector,
    seen: &Seen<'_>,
) -> Vec<Finding> {
    let found = [
        of_version(seen.state),
        of_connections(seen.state),
        of_pool(subject, inspector, seen),
        of_limits(inspector, seen.state),
        seen.deafness.map(deaf),
    ];
    found.into_iter().flatten().collect()
}

/// What the way to the server hides and proves. On this machine nobody is in between.
pub(super) fn judge_transport(
    subject: &Configured,
    inspector: &PostgresInspector,
) -> Option<Finding> {
    if inspector.is_proven() || !subject.environment.is_production() {
        return None;
    }
    let hosts = inspector.hosts();
    let is_here = |name: &str| {
        let address = name.parse::<std::net::IpAddr>();
        name == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    let elsewhere = hosts.iter().find(|host| {
        let is_near = host.address.map_or_else(|| is_here(&host.name), |it| it.is_loopback());
        !host.is_socket && !is_near
    })?;
    let why = format!(
        "leads to {} without having it prove whose it is (sslmode): who gets in between reads and \
         changes everything",
        place_of(elsewhere)
    );
    let fix = subject.line(|url| Some(with_parameter(url, "sslmode", "verify-full")));
    Some(Finding { fix, ..Finding::new("database-tls-weak", Warn, why) })
}

fn of_version(state: &PostgresState) -> Option<Finding> {
    (state.version < VERSION_MIN).then(|| {
        let why = format!(
            "leads to PostgreSQL {}, for which there are no more corrections",
            version(state)
        );
        Finding::new("database-old", Warn, why)
    })
}

fn of_connections(state: &PostgresState) -> Option<Finding> {
    let all = [
        ("the server", Some(state.connections)),
        ("the role", state.of_role),
        ("the database", state.of_database),
    ];
    let is_near = |(used, most): &(i64, i64)| used.saturating_mul(100) >= most * TAKEN_MAX;
    let near = |(whose, taken): (&'static str, Option<_>)| Some((whose, taken.filter(is_near)?));
    let (whose, (used, most)) = all.into_iter().find_map(near)?;
    let why = format!("leads to {used} of {most} connections of {whose}: soon there are no more");
    Some(Finding::new("database-connections-low", Warn, why))
}

fn of_pool(
    subject: &Configured,
    inspector: &PostgresInspector,
    seen: &Seen<'_>,
) -> Option<Finding> {
    match (inspector.is_pooled(), seen.pooling?) {
        (false, Pooling::Seen) => {
            let why = "leads to a pool that changes connections with each transaction (PgBouncer): \
                       what is left in one would meet others, and news of other nodes come late";
            let fix = subject.line(|url| Some(with_parameter(url, "pgbouncer", "true")));
            Some(Finding { fix, ..Finding::new("database-pool-undeclared", Warn, why) })
        }
        (true, Pooling::NotSeen) => {
            let why = "says pgbouncer=true, and no pool in transaction mode is seen: without one, \
                       leave it out, and news of other nodes come sooner";
            Some(Finding::new("database-pool-unseen", Info, why))
        }
        _ => None,
    }
}

/// Behind a pool, limits are the role's; else ours hold, unless something in between leaves them out.
fn of_limits(inspector: &PostgresInspector, state: &PostgresState) -> Option<Finding> {
    let (statement, lock) = inspector.limits();
    let role = identifier(&state.role);
    let set = format!(
        "ALTER ROLE {role} SET statement_timeout = {}; ALTER ROLE {role} SET lock_timeout = {};",
        statement.as_millis(),
        lock.as_millis()
    );
    if let Some(limit) = state.statement_timeout.filter(|limit| *limit < STATEMENT_MIN) {
        let millis = limit.as_millis();
        let why = format!("leads to a server that ends statements of {role} after {millis} ms");
        return Some(Finding::new("database-timeouts", Warn, why).run(set));
    }
    if state.statement_timeout.is_some() && state.lock_timeout.is_some() {
        return None;
    }
    let level = if inspector.is_pooled() { Info } else { Warn };
    let why = "leads past something that leaves out the limits that Nightlatch sets, as pools do: set \
               them on the role, or a statement may hang in the server";
    Some(Finding::new("database-timeouts", level, why).run(set))
}

fn deaf(class: FailureClass) -> Finding {
    let why = format!(
        "leads to a server that cannot be listened to ({class}): news of other nodes come late"
    );
    Finding::new("database-listen", Warn, why)
}

/// What it is, in a few words.
pub(super) fn facts(state: &PostgresState) -> String {
    let (used, most) = state.connections;
    let tls = if state.is_encrypted { "over TLS" } else { "without TLS" };
    format!("PostgreSQL {}, primary, {used} of {most} connections, {tls}", version(state))
}

fn version(state: &PostgresState) -> String {
    format!("{}.{}", state.version / 10_000, state.version % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_nobody_corrects_any_more_are_told() {
        let of = |version| of_version(&PostgresState { version, ..PostgresState::default() });
        for old in [90_624, 100_023, 120_022] {
            assert_eq!(of(old).map(|finding| finding.id), Some("database-old"), "{old}");
        }
        assert!(of(120_022).is_some_and(|finding| finding.why.contains("PostgreSQL 12.22,")));
        assert!([130_000, 150_018, 180_001].into_iter().all(|version| of(version).is_none()));
    }

    #[test]
    fn a_server_that_cannot_be_listened_to_is_told_with_the_class() {
        let finding = deaf(FailureClass::Forbidden);
        assert!(finding.id == "database-listen" && finding.why.contains("(forbidden)"));
    }
}
