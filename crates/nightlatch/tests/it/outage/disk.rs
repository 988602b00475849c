//! The disk is full, read-only, or fails.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nightlatch_testkit::disk::SmallDisk;
use nightlatch_testkit::server::Launch;
use nightlatch_testkit::strace::Strace;

use super::drill::{Drill, under_load};
use super::report::{Expected, Wanted};

const GROUP: &str = "SQLite";

/// Room for some thousand sessions and their log.
const DISK_MEBIBYTES: u32 = 24;

fn on(disk: &SmallDisk) -> Launch {
    let url = format!("sqlite://{}", disk.file("nightlatch.db").display());
    under_load().unprivileged().set("DATABASE_URL", &url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_logins_but_no_session_check() {
    let disk = SmallDisk::in_memory(DISK_MEBIBYTES);
    let mut drill = Drill::begin(GROUP, "disk full", on(&disk)).await;
    drill.fault_begins();
    disk.fill();
    drill.wait_for_class("disk_full").await;
    drill.wait_for_writes(503, 5).await;
    drill.stay_under_load().await;
    disk.make_room();
    drill
        .fault_ends(Expected {
            writes: Wanted::Refused,
            checks: Wanted::Served,
            class: Some("disk_full"),
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_read_only_at_the_start_is_waited_for() {
    let disk = SmallDisk::in_memory(DISK_MEBIBYTES);
    let mut drill = Drill::begin(GROUP, "read-only disk, from the start on", on(&disk)).await;
    drill.kill();
    disk.make_read_only();
    drill.fault_begins();
    drill.start_again();
    drill.wait_for_class("readonly").await;
    drill.wait_for_writes(503, 5).await;
    drill.stay_under_load().await;
    disk.make_writable();
    drill
        .fault_ends(Expected {
            writes: Wanted::Refused,
            checks: Wanted::Refused,
            class: Some("readonly"),
        })
        .await;
}

/// Sets the rights of the files of the database and of their folder.
fn set_rights(folder: &Path, of_files: u32, of_folder: u32) {
    for name in ["nightlatch.db", "nightlatch.db-wal", "nightlatch.db-shm"] {
        set_permissions(folder.join(name), Permissions::from_mode(of_files))
            .expect("a file of ours");
    }
    set_permissions(folder, Permissions::from_mode(of_folder)).expect("a folder of ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_without_the_right_to_write_are_waited_for() {
    let launch = under_load().unprivileged();
    let mut drill =
        Drill::begin(GROUP, "files and folder not writable, from the start on", launch).await;
    let folder = drill.server.folder().to_owned();
    drill.kill();
    set_rights(&folder, 0o444, 0o555);
    drill.fault_begins();
    drill.start_again();
    drill.wait_for_class("forbidden").await;
    drill.wait_for_writes(503, 5).await;
    drill.stay_under_load().await;
    set_rights(&folder, 0o600, 0o700);
    drill
        .fault_ends(Expected {
            writes: Wanted::Refused,
            checks: Wanted::Refused,
            class: Some("forbidden"),
        })
        .await;
}

/// The database and its log.
fn files(drill: &Drill) -> [PathBuf; 2] {
    let database = drill.database();
    let log = database.with_extension("db-wal");
    [database, log]
}

async fn fail(fault: &'static str, calls: &str, error: &str, expected: Expected) {
    let mut drill = Drill::begin(GROUP, fault, under_load()).await;
    let [database, log] = files(&drill);
    drill.fault_begins();
    let strace = Strace::fail(drill.server.pid(), calls, error, &[&database, &log]);
    drill.wait_for_class("io_error").await;
    drill.wait_for_writes(503, 5).await;
    drill.stay_under_load().await;
    drop(strace);
    drill.remark = format!("{calls} end with {error} (strace --inject)");
    drill.fault_ends(expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_no_writes_stops_logins_but_no_session_check() {
    let expected =
        Expected { writes: Wanted::Refused, checks: Wanted::Served, class: Some("io_error") };
    fail("I/O errors when writing", "pwrite64", "EIO", expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_to_sync_stops_logins_but_no_session_check() {
    let expected =
        Expected { writes: Wanted::Refused, checks: Wanted::Served, class: Some("io_error") };
    fail("I/O errors when syncing", "fsync,fdatasync", "EIO", expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_cannot_be_read_logs_nobody_out() {
    let expected =
        Expected { writes: Wanted::Refused, checks: Wanted::Served, class: Some("io_error") };
    fail("I/O errors when reading", "pread64", "EIO", expected).await;
}
