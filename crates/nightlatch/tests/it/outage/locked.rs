//! Another process holds the lock that every change needs.

use std::time::Duration;

use nightlatch_testkit::sqlite::Intruder;

use super::drill::{Drill, under_load};
use super::report::{Expected, Wanted};

const GROUP: &str = "SQLite";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_one_second_heals_within_the_deadline() {
    let mut drill = Drill::begin(GROUP, "locked 1 s by another process", under_load()).await;
    let intruder = Intruder::open(&drill.database());
    drill.fault_begins();
    intruder.lock();
    drill.wait_since_beginning(Duration::from_secs(1)).await;
    intruder.let_go();
    let seen = drill.watch.seen();
    assert!(seen.classes.iter().all(|class| class == "none"), "nothing has failed yet: {seen:?}");
    drill
        .fault_ends(Expected { writes: Wanted::Served, checks: Wanted::Served, class: None })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_ten_seconds_stops_logins_but_no_session_check() {
    let mut drill = Drill::begin(GROUP, "locked 10 s by another process", under_load()).await;
    let intruder = Intruder::open(&drill.database());
    drill.fault_begins();
    intruder.lock();
    drill.wait_for_class("locked").await;
    let known = drill.load.now();
    drill.wait_since_beginning(Duration::from_secs(10)).await;
    // Once it is known, nobody waits for long to be told.
    let slow = drill.load.count(known, |operation| {
        operation.status() == Some(503) && operation.took() > Duration::from_secs(1)
    });
    assert_eq!(slow, 0, "503 is told fast once the lock is known");
    intruder.let_go();
    drill
        .fault_ends(Expected {
            writes: Wanted::Refused,
            checks: Wanted::Served,
            class: Some("locked"),
        })
        .await;
}
