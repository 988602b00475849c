//! The log cannot be written: nobody reads it, or its disk is full.

use std::fs;
use std::process::Command;

use nightlatch_testkit::client::Client;
use nightlatch_testkit::disk::SmallDisk;
use nightlatch_testkit::process::run;
use nightlatch_testkit::wait::wait_until;

use super::drill::{Drill, LIMIT, full_or, under_load};
use super::report::{Expected, Wanted};

const GROUP: &str = "Own process";

const UNHARMED: Expected = Expected { writes: Wanted::Served, checks: Wanted::Served, class: None };

/// Requests that write a line each: more than a pipe holds, and in a full run more than the queue.
const LINES: usize = 1_000;
const LINES_FULL: usize = 30_000;

/// Starts a reader of the log in front of the server, and says which process it is.
const WITH_A_READER: &str = r#"mkfifo log && { cat log & echo $! > reader; } && exec "$@" 2> log"#;

async fn write_many_lines(client: &mut Client) {
    for _ in 0..full_or(LINES_FULL, LINES) {
        assert_eq!(client.get("/nothing-here").await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_stops_nobody() {
    let launch = under_load().through(&["sh", "-c", WITH_A_READER, "sh"]);
    let mut drill = Drill::begin(GROUP, "log reader blocked", launch).await;
    let reader = fs::read_to_string(drill.server.folder().join("reader")).expect("it was noted");
    let signal = |name: &str| {
        run(Command::new("kill").args([name, reader.trim()]));
    };
    drill.fault_begins();
    signal("-STOP");
    write_many_lines(&mut drill.server.client()).await;
    drill.stay_under_load().await;
    signal("-CONT");
    drill.fault_ends(UNHARMED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_on_a_full_disk_stops_nobody() {
    let disk = SmallDisk::in_memory(1);
    let log = disk.file("log");
    let to_disk = format!(r#"exec "$@" 2>> '{}'"#, log.display());
    let launch = under_load().through(&["sh", "-c", &to_disk, "sh"]).silent();
    let mut drill = Drill::begin(GROUP, "log disk full", launch).await;
    drill.fault_begins();
    disk.fill();
    let length = || fs::metadata(&log).expect("the log is there").len();
    let full = length();
    write_many_lines(&mut drill.server.client()).await;
    drill.stay_under_load().await;
    assert!(length() - full < 4096, "the disk was full");
    disk.make_room();
    wait_until("the log says what it has lost", LIMIT, async || {
        fs::read_to_string(&log).expect("the log is text").contains("log.dropped")
    })
    .await;
    drill.fault_ends(UNHARMED).await;
}
