//! A server that is stopped where it is while people log out elsewhere.
//!
//! Their requests wait in its sockets, and are the first that it sees when it goes on: it has to find out
//! what it slept through before it answers any of them.

use std::time::Duration;

use tokio::task::JoinSet;

use super::DrillError;
use super::row::Row;
use crate::history::SPREAD_MAX;
use crate::load::{LoadError, Visit, Visitor};

/// The one that sleeps, and the one that does not.
pub(crate) const ASLEEP: usize = 1;
const AWAKE: usize = 0;

/// How many people ask it whether they are still logged in.
const PEOPLE: usize = 6;

/// How long it sleeps at least after the last logout: longer than copies are believed without news.
const SLEEP_MIN: Duration = Duration::from_secs(4);

pub(super) async fn suffer(row: &mut Row<'_>) -> Result<(), DrillError> {
    let name = row.fault.name;
    let in_load = |error| DrillError::Load(name, error);
    let mut visitors = log_in(row).await.map_err(in_load)?;
    // As a load balancer finds it dead. Whoever waits for it now would wait until it goes on.
    row.load.pass_over(ASLEEP, true);
    row.load.rest().await.map_err(in_load)?;
    row.with_private(|private| private.nodes[ASLEEP].pause());
    row.load.go_on();
    row.pass(row.span.saturating_sub(SLEEP_MIN)).await;
    for (visitor, visit) in &mut visitors {
        visitor.log_out(AWAKE, visit).await;
    }
    row.pass(SPREAD_MAX + Duration::from_millis(100)).await;
    let mut asking = JoinSet::new();
    for (mut visitor, visit) in visitors {
        asking.spawn(async move {
            visitor.check(ASLEEP, &visit).await;
        });
    }
    row.pass(SLEEP_MIN.saturating_sub(SPREAD_MAX)).await;
    row.fault_ends();
    row.with_private(|private| private.nodes[ASLEEP].resume());
    while asking.join_next().await.is_some() {}
    row.load.pass_over(ASLEEP, false);
    Ok(())
}

/// People whom both servers know.
async fn log_in(row: &Row<'_>) -> Result<Vec<(Visitor, Visit)>, LoadError> {
    let mut visitors = Vec::new();
    for _ in 0..PEOPLE {
        let mut visitor = row.load.visitor(row.onlooker.clone());
        let refused = || {
            let why = "though nothing is wrong yet".to_owned();
            LoadError::NoLogin(row.onlooker.name.clone(), why)
        };
        let visit = visitor.log_in(AWAKE).await.ok_or_else(refused)?;
        visitor.check(ASLEEP, &visit).await;
        visitors.push((visitor, visit));
    }
    Ok(visitors)
}
