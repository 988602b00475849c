//! The hosts of a URL of PostgreSQL, one after the other, until one can be used.

use std::time::Duration;

use nightlatch_core::{Clock as _, FailureClass as Class, SystemClock};
use nightlatch_store::net;
use nightlatch_store::postgres::inspect::{
    PostgresHost, PostgresInspector, PostgresRefusal, PostgresVisit,
};
use tokio::time::timeout;

use super::super::configured::Configured;
use super::super::finding::Finding;
use super::super::sources::Sources;
use super::super::spread::Spread;
use super::attempt;
use super::refusal::{self, Met};
use super::rights;
use super::state::{self, Seen};
use crate::app::postgres_inspector;
use crate::config::PostgresDatabase;
use crate::config::ProblemLevel::{Error, Info, Warn};
use crate::remedy::of_database;

/// The most hosts that are visited.
const HOSTS_MAX: usize = 4;

/// How long one address may take to take us.
const REACH_LIMIT: Duration = Duration::from_secs(2);

/// How many questions the latency is measured by.
const ROUND_TRIPS: usize = 100;

/// Later than this a login is felt to be slow: it takes several questions.
const SLOW: Duration = Duration::from_millis(100);

/// How far clocks may differ.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(30);

/// Visits them, and tells what is wrong.
pub(super) async fn examine(
    sources: &Sources,
    subject: &Configured,
    database: &PostgresDatabase,
    found: &mut Vec<Finding>,
) {
    let inspector = match postgres_inspector(database) {
        Ok(inspector) => inspector,
        Err(error) => {
            let why = format!("cannot even be tried: {error}");
            found.push(Finding::new("database-options", Error, why));
            return;
        }
    };
    found.extend(state::judge_transport(subject, &inspector));
    let mut refused = Vec::new();
    for (number, host) in inspector.hosts().iter().enumerate().take(HOSTS_MAX) {
        match visit(&inspector, number, host).await {
            Ok(visit) => {
                found.extend(passed_over(&refused));
                return examine_visit(subject, (&inspector, number), &visit, found).await;
            }
            Err(failed) => {
                refused.push(Met::of(&inspector, (number, host.clone()), failed).await);
            }
        }
    }
    for met in &refused {
        let mut finding = refusal::explain(&inspector, met).await;
        if matches!(met.failed, Failed::Unreached(Class::Unreachable)) {
            finding.why.push_str(sources.machine.remark(&met.host.name));
        }
        let tried = attempt::search(sources, subject, database, met).await;
        found.push(match tried {
            Some(tried) => tried.add_to(finding),
            None => Finding {
                fix: finding.fix.take().or_else(|| refusal::line(subject, met)),
                ..finding
            },
        });
    }
}

/// Why a host cannot be used.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failed {
    /// Nothing was said: there is no connection.
    Unreached(Class),
    /// Something was.
    Refused(PostgresRefusal),
}

async fn visit<'a>(
    inspector: &'a PostgresInspector,
    number: usize,
    host: &PostgresHost,
) -> Result<PostgresVisit<'a>, Failed> {
    if !host.is_socket {
        let at = host.address.map_or_else(|| host.name.clone(), |address| address.to_string());
        let reached = timeout(REACH_LIMIT, net::connect(&at, host.port, REACH_LIMIT)).await;
        reached.unwrap_or(Err(Class::Timeout)).map_err(Failed::Unreached)?;
    }
    inspector.visit(number).await.map_err(Failed::Refused)
}

/// Of several hosts, those that cannot be used while another one can. That one takes no changes is what
/// a URL with several is for.
fn passed_over(refused: &[Met]) -> Option<Finding> {
    let class = |met: &Met| match met.failed {
        Failed::Unreached(class) => class,
        Failed::Refused(refused) => refused.class,
    };
    let others = refused.iter().filter(|met| class(met) != Class::Readonly);
    let others: Vec<String> =
        others.map(|met| format!("{} ({})", refusal::place_of(&met.host), class(met))).collect();
    (!others.is_empty()).then(|| {
        let why =
            format!("names hosts that cannot be used, beside one that can: {}", others.join(", "));
        Finding::new("database-one-unusable", Warn, why)
    })
}

async fn examine_visit(
    subject: &Configured,
    (inspector, number): (&PostgresInspector, usize),
    visit: &PostgresVisit<'_>,
    found: &mut Vec<Finding>,
) {
    let state = match visit.state().await {
        Ok(state) => state,
        Err(class) => return found.push(stopped(class)),
    };
    match visit.examine_schema().await {
        Ok(schema) => found.extend(rights::judge(&schema, &state.database, &state.role)),
        Err(class) => return found.push(stopped(class)),
    }
    let pooling = inspector.pooling(number).await;
    // Behind a pool nobody listens, and nobody should have tried.
    let deafness = if inspector.is_pooled() { None } else { visit.deafness().await };
    let seen = Seen { state: &state, pooling, deafness };
    found.extend(state::judge(subject, inspector, &seen));
    found.extend(clocks(visit).await);
    found.push(latency(visit, &state::facts(&state)).await);
}

fn stopped(class: Class) -> Finding {
    let why = format!("lets us in and does not answer what it is asked then ({class})");
    Finding::new(of_database(class).finding, Error, why)
}

/// Sessions go by the database's clock; tokens and certificates are judged by others.
async fn clocks(visit: &PostgresVisit<'_>) -> Option<Finding> {
    let before = SystemClock.wall();
    let there = visit.time().await.ok()?;
    let after = SystemClock.wall();
    let [before, there, after] = [before, there, after].map(nightlatch_core::Timestamp::as_micros);
    let micros = if there < before { before - there } else { (there - after).max(0) };
    let differ = Duration::from_micros(micros.unsigned_abs());
    (differ > CLOCKS_DIFFER_MAX).then(|| {
        let (seconds, how) = (differ.as_secs(), if there < before { "behind" } else { "ahead of" });
        let why = format!(
            "leads to a server whose clock is {seconds} s {how} this machine's: sessions and tokens \
             go by the server's, and whoever judges tokens elsewhere finds them too old or too new"
        );
        Finding::new("database-clock", Warn, why)
    })
}

async fn latency(visit: &PostgresVisit<'_>, facts: &str) -> Finding {
    let spread = match visit.round_trips(ROUND_TRIPS).await.map(Spread::of) {
        Ok(Some(spread)) => spread,
        Ok(None) => return Finding::new("database-answers", Info, format!("answers: {facts}")),
        Err(class) => return stopped(class),
    };
    let text = Some(spread.histogram());
    if spread.late() <= SLOW {
        let why = format!("answers: {facts}; {spread}");
        return Finding { text, ..Finding::new("database-answers", Info, why) };
    }
    let why = format!("answers late, so that logins are slow: {spread}; {facts}");
    Finding { text, ..Finding::new("database-slow", Warn, why) }
}
