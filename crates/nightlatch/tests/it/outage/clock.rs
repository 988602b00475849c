//! The clock of a machine is wrong, steps, or runs fast; a machine was asleep.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_testkit::clock::FakeClock;
use nightlatch_testkit::load::Crowd;
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::wait::wait_until;

use super::drill::{Drill, LIMIT, under_load};
use super::postgres::Way;
use super::report::{Expected, Wanted};
use crate::person::Person;
use crate::record::launch;

const GROUP: &str = "Clock";

const UNNOTICED: Expected =
    Expected { writes: Wanted::Served, checks: Wanted::Served, class: None };

const HOUR: i64 = 3600;

/// The clock of one of two nodes is moved while it runs.
async fn one_of_two(fault: &'static str, disturb: impl FnOnce(&FakeClock)) {
    let clock = FakeClock::of_wall();
    let way = Way::shared().await;
    let nodes = vec![way.straight_node().under(&clock), way.straight_node()];
    let mut drill = Drill::begin_among(GROUP, fault, nodes, Crowd::STEADY).await;
    drill.fault_begins();
    disturb(&clock);
    wait_until("health warns", LIMIT, async || drill.watch.seen().warnings.contains("clock_skew"))
        .await;
    drill.stay_under_load().await;
    let seen = drill.others[0].watch.seen();
    assert!(!seen.warnings.contains("clock_skew"), "that of the other is right: {seen:?}");
    clock.move_to(0);
    drill.remark = String::from("on one of two nodes, which warns");
    drill.fault_ends(UNNOTICED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_an_hour_ahead_ends_no_session() {
    one_of_two("+1 h", |clock| clock.move_to(HOUR)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_an_hour_behind_ends_no_session() {
    one_of_two("-1 h", |clock| clock.move_to(-HOUR)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_a_day_ahead_ends_no_session() {
    // The sessions of the crowd live a day.
    one_of_two("+1 day", |clock| clock.move_to(24 * HOUR + 60)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_runs_fast_ends_no_session() {
    one_of_two("drift", |clock| clock.run_faster(100)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_of_a_single_machine_that_steps_ends_no_session() {
    let clock = FakeClock::of_wall();
    let mut drill =
        Drill::begin(GROUP, "+1 day, SQLite on a single node", under_load().under(&clock)).await;
    drill.fault_begins();
    clock.move_to(24 * HOUR + 60);
    wait_until("health warns", LIMIT, async || drill.watch.seen().warnings.contains("clock_skew"))
        .await;
    drill.stay_under_load().await;
    clock.move_to(0);
    drill.remark = String::from("it warns, and does not follow");
    drill.fault_ends(UNNOTICED).await;
}

/// Two nodes whose machines, and that of the record, sleep for an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_of_sleep_ends_no_session_that_lives_longer() {
    let (of_record, of_node) = (FakeClock::of_wall(), FakeClock::of_all());
    let way = Way::to(Arc::new(PostgresServer::launch_under(&of_record, &[]))).await;
    let node = way.straight_node().under(&of_node);
    let mut drill = Drill::begin(GROUP, "suspended for an hour", node).await;
    drill.slept = true;
    drill.fault_begins();
    of_record.move_to(HOUR);
    of_node.move_to(HOUR);
    drill.wait_from_now(Duration::from_secs(2)).await;
    drill.stay_under_load().await;
    drill.remark = String::from("all clocks of the node, and the database's, jump");
    // What was on its way has met its deadline.
    let expected = Expected { writes: Wanted::Either, checks: Wanted::Either, class: Some("none") };
    drill.fault_ends(expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_outlives_its_time_by_a_sleep() {
    let (of_record, of_node) = (FakeClock::of_wall(), FakeClock::of_all());
    let way = Way::to(Arc::new(PostgresServer::launch_under(&of_record, &[]))).await;
    let node = way.straight_node().under(&of_node).set("SESSION_COOKIE_AGE", "1800");
    let server = node.ready().await;
    let mut person = Person::logged_in(&server, "alice").await;
    assert_eq!(person.session().await.status, 200);
    of_record.move_to(HOUR);
    of_node.move_to(HOUR);
    wait_until("it has expired", LIMIT, async || person.session().await.status == 401).await;
    assert_eq!(person.log_in().await.status, 200);
    assert_eq!(person.session().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_steps_gives_nobody_fresh_tries() {
    let clock = FakeClock::of_wall();
    let server = launch().under(&clock).ready().await;
    let mut person = Person::registered(&server, "alice").await;
    person.client.forget_cookie(crate::person::DEVICE);
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(person.try_password("wrong-horse-battery").await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    clock.move_to(HOUR);
    let mut client = server.client();
    wait_until("health warns", LIMIT, async || {
        client.get("/health").await.json()["warnings"].to_string().contains("clock_skew")
    })
    .await;
    assert_eq!(person.try_password("wrong-horse-battery").await.status, 429);
}
