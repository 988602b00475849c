//! The process is killed, stopped, or loses its power.

use std::time::Duration;

use nightlatch_testkit::disk::SmallDisk;
use nightlatch_testkit::load::Crowd;
use tokio::time::sleep;

use super::drill::{Drill, full_or, under_load};
use super::report::{Expected, Wanted};

/// Kills in a row, each at a random instant.
const KILLS: usize = 4;
const KILLS_FULL: usize = 20;

/// The earliest and the latest instant of a kill after a start, in milliseconds.
const KILL_AFTER_MS: (u64, u64) = (100, 700);

const MOSTLY_LOGINS: Crowd =
    Crowd { movers: 6, checkers: 1, changers: 0, programs: 2, logouts_in_ten: 1 };
const MOSTLY_LOGOUTS: Crowd =
    Crowd { movers: 6, checkers: 1, changers: 0, programs: 2, logouts_in_ten: 5 };

const KILLED: Expected =
    Expected { writes: Wanted::Either, checks: Wanted::Either, class: Some("none") };

/// Kills under load, again and again.
async fn kill(group: &'static str, fault: &'static str, crowd: Crowd) {
    let mut drill = Drill::begin_with(group, fault, under_load(), crowd).await;
    drill.fault_begins();
    let kills = full_or(KILLS_FULL, KILLS);
    for _ in 0..kills {
        let (earliest, latest) = KILL_AFTER_MS;
        let after = earliest + drill.chance.below(latest - earliest);
        // The instant of a kill is chance, not a condition.
        sleep(Duration::from_millis(after)).await;
        drill.kill();
        drill.start_again();
        drill.server.wait_until_ready().await;
    }
    drill.stay_under_load().await;
    drill.remark = format!("{kills} kills");
    drill.fault_ends(KILLED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_the_middle_of_writing_lose_nothing() {
    kill("SQLite", "kill -9 in mid-write", Crowd::STEADY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_logins_lose_nothing() {
    kill("Own process", "kill -9 in login", MOSTLY_LOGINS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_logouts_undo_nothing() {
    kill("Own process", "kill -9 in logout", MOSTLY_LOGOUTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_of_an_idle_server_loses_nothing() {
    let mut drill = Drill::begin("Own process", "kill -9 idle", under_load()).await;
    drill.load.rest().await;
    drill.fault_begins();
    drill.kill();
    drill.start_again();
    drill.server.wait_until_ready().await;
    drill.load.go_on();
    drill.stay_under_load().await;
    drill.fault_ends(KILLED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_nothing() {
    let mut drill = Drill::begin("Own process", "SIGTERM under load", under_load()).await;
    drill.fault_begins();
    drill.restart().await;
    drill.stay_under_load().await;
    drill.fault_ends(KILLED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_stopped_goes_on_as_if_nothing_had_been() {
    let mut drill =
        Drill::begin("Own process", "SIGSTOP for 60 s, and on again", under_load()).await;
    drill.fault_begins();
    drill.server.pause();
    drill.wait_since_beginning(Duration::from_secs(full_or(60, 4))).await;
    drill.server.resume();
    drill
        .fault_ends(Expected { writes: Wanted::Silence, checks: Wanted::Silence, class: None })
        .await;
}

/// Room for some thousand sessions, their log and the file system's own journal.
const DISK_MEBIBYTES: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_was_not_synced_is_lost_and_nothing_that_was_told() {
    let images = tempfile::tempdir().expect("a temporary folder");
    let mut disk = SmallDisk::in_file(&images.path().join("disk0"), DISK_MEBIBYTES);
    let url = format!("sqlite://{}", disk.file("nightlatch.db").display());
    let launch = under_load().unprivileged().set("DATABASE_URL", &url);
    let mut drill = Drill::begin("SQLite", "all lost after the last fsync", launch).await;
    drill.fault_begins();
    let cuts = full_or(5, 2);
    for cut in 1..=cuts {
        drill.stay_under_load().await;
        drill.kill();
        let image = images.path().join(format!("disk{cut}"));
        tokio::task::block_in_place(|| disk.cut_power(&image));
        drill.start_again();
        drill.server.wait_until_ready().await;
    }
    drill.stay_under_load().await;
    drill.remark =
        format!("{cuts} times what the disk held at the kill, and nothing of the kernel's");
    drill.fault_ends(KILLED).await;
}
