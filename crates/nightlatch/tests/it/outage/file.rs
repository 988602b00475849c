//! The file is damaged, removed, replaced, or has a log that grows without end.

use std::fs;
use std::path::Path;

use nightlatch_testkit::load::Crowd;
use nightlatch_testkit::sqlite::{Intruder, damage, repair};

use super::drill::{Drill, full_or, under_load};
use super::report::{Expected, Wanted};

const GROUP: &str = "SQLite";

/// Nobody who writes to the table of users: that would mend its pages.
const NO_CHANGERS: Crowd = Crowd { changers: 0, ..Crowd::STEADY };

const REFUSED: Wanted = Wanted::Refused;
/// From copies in memory.
const SERVED: Wanted = Wanted::Served;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_damaged_under_the_server_logs_nobody_out() {
    let fault = "damaged page, while running";
    let mut drill = Drill::begin_with(GROUP, fault, under_load(), NO_CHANGERS).await;
    let path = drill.database();
    let page = {
        let intruder = Intruder::open(&path);
        intruder.empty_log();
        intruder.root_page("users")
    };
    drill.fault_begins();
    let was = damage(&path, page);
    drill.wait_for_class("corrupt").await;
    drill.wait_for_writes(503, 5).await;
    drill.stay_under_load().await;
    repair(&path, page.0, &was);
    drill.fault_ends(Expected { writes: REFUSED, checks: SERVED, class: Some("corrupt") }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_damaged_before_the_start_logs_nobody_out() {
    let fault = "damaged page, from the start on";
    let mut drill = Drill::begin_with(GROUP, fault, under_load(), NO_CHANGERS).await;
    let path = drill.database();
    drill.kill();
    let page = {
        let intruder = Intruder::open(&path);
        intruder.empty_log();
        intruder.root_page("users")
    };
    drill.fault_begins();
    let was = damage(&path, page);
    drill.start_again();
    drill.wait_for_class("corrupt").await;
    drill.wait_for_checks(503, 5).await;
    drill.wait_for_health("unhealthy", "corrupt").await;
    drill.stay_under_load().await;
    repair(&path, page.0, &was);
    drill.fault_ends(Expected { writes: REFUSED, checks: REFUSED, class: Some("corrupt") }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_moved_away_is_missed_until_it_is_back() {
    let mut drill = Drill::begin(GROUP, "file removed, and moved back", under_load()).await;
    let path = drill.database();
    let aside = path.with_extension("aside");
    drill.fault_begins();
    fs::rename(&path, &aside).expect("the file is there");
    drill.wait_for_class("missing").await;
    let noticed = drill.load.now();
    drill.stay_under_load().await;
    let written = drill
        .load
        .count(noticed, |operation| !operation.is_check() && operation.status() == Some(200));
    assert_eq!(written, 0, "nothing is written into the void");
    assert!(!path.exists(), "the server makes no empty record in its place");
    fs::rename(&aside, &path).expect("the file is there");
    drill.fault_ends(Expected { writes: REFUSED, checks: SERVED, class: Some("missing") }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_replaced_by_another_is_missed_until_it_is_back() {
    let fault = "file replaced by one that is no record, and moved back";
    let mut drill = Drill::begin(GROUP, fault, under_load()).await;
    let path = drill.database();
    let aside = path.with_extension("aside");
    drill.fault_begins();
    fs::rename(&path, &aside).expect("the file is there");
    fs::write(&path, "this is no database, and nobody may make one of it").expect("there is room");
    drill.wait_for_class("corrupt").await;
    drill.wait_for_writes(503, 5).await;
    drill.stay_under_load().await;
    fs::rename(&aside, &path).expect("the file is there");
    drill.fault_ends(Expected { writes: REFUSED, checks: SERVED, class: Some("corrupt") }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_removed_is_written_anew() {
    let mut drill = Drill::begin(GROUP, "write-ahead log removed", under_load()).await;
    let log = drill.database().with_extension("db-wal");
    drill.fault_begins();
    fs::remove_file(&log).expect("the log is there");
    drill.stay_under_load().await;
    assert!(log.exists(), "a log that people can see");
    drill
        .fault_ends(Expected {
            writes: Wanted::Either,
            checks: Wanted::Either,
            // It is over within half a second: health looks once a second and may meet it or not.
            class: Some("none|missing"),
        })
        .await;
}

fn mebibytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len()) >> 20
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_end_makes_the_log_long_and_nothing_slow() {
    let fault = "1 GB of write-ahead log, held by a reader";
    let mut drill = Drill::begin(GROUP, fault, under_load()).await;
    let path = drill.database();
    let log = path.with_extension("db-wal");
    let wanted = full_or(1024, 128);
    let reader = Intruder::open(&path);
    reader.begin_to_read();
    drill.fault_begins();
    let writer = Intruder::open(&path);
    tokio::task::block_in_place(|| writer.lengthen_log(wanted));
    assert!(mebibytes(&log) >= u64::from(wanted), "{} MB", mebibytes(&log));
    drill.stay_under_load().await;
    // A start reads all of the log.
    drill.kill();
    drill.start_again();
    drill.stay_under_load().await;
    drill.remark = format!("{} MB, and killed with it", mebibytes(&log));
    reader.let_go();
    drop((reader, writer));
    drill
        .fault_ends(Expected {
            writes: Wanted::Either,
            checks: Wanted::Either,
            class: Some("none"),
        })
        .await;
}
