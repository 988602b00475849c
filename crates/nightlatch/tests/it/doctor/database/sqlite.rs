//! A SQLite file in each state, its folder, and its disk.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nightlatch_testkit::disk::SmallDisk;
use nightlatch_testkit::process::{give_to_server, unprivileged};
use nightlatch_testkit::sqlite::{Intruder, damage};
use tempfile::TempDir;

use super::super::{Verdict, judged};
use super::{assert_wrong, fix, judge, why};
use crate::record::launch;

/// A migrated file in a folder of its own.
fn record() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("n.db");
    migrate(&path);
    (folder, path)
}

fn migrate(path: &Path) {
    let folder = path.parent().expect("it has one");
    let migrated = launch().set("DATABASE_URL", &url(path)).command(folder, &["migrate"]).output();
    assert!(migrated.expect("it runs").status.success());
}

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// As a user for whom files can be read-only.
fn unprivileged_of(path: &Path) -> Verdict {
    let mut command = unprivileged(Path::new(env!("CARGO_BIN_EXE_nightlatch")));
    command.env_clear().env("DATABASE_URL", url(path)).current_dir("/");
    let output = command.args(["doctor", "database", "--json"]).output().expect("it runs");
    judged(&output)
}

#[test]
fn a_sound_file_is_left_as_it_is_and_a_missing_one_missing() {
    let (folder, path) = record();
    let (before, names) = (fs::read(&path).expect("it is there"), names(folder.path()));
    let found = assert_wrong(&url(&path), &[]);
    found.find("database-answers");
    assert_eq!(fs::read(&path).expect("it is there"), before);
    assert_eq!(self::names(folder.path()), names);

    let missing = folder.path().join("other.db");
    assert_wrong(&url(&missing), &[]).find("database-file-missing");
    assert!(!missing.exists());
    let nowhere = folder.path().join("no/where.db");
    let found = assert_wrong(&url(&nowhere), &["database-folder-missing"]);
    let made = format!("mkdir -p {}", folder.path().join("no").display());
    assert_eq!(fix(&found, "database-folder-missing"), made);
    assert_wrong(&format!("sqlite://{}", folder.path().display()), &["database-not-a-file"]);
}

#[test]
fn a_record_of_almost_that_name_is_told_where_the_file_is_missing() {
    let (folder, _) = record();
    let there = folder.path().join("nightlatch.db");
    migrate(&there);
    let before = names(folder.path());
    let misspelt = folder.path().join("nighlatch.db");
    let found = assert_wrong(&url(&misspelt), &["database-file-missing"]);
    assert!(
        why(&found, "database-file-missing").contains("nightlatch.db, a record, lies beside it")
    );
    let line = format!("DATABASE_URL={}", url(&there));
    assert_eq!(fix(&found, "database-file-missing"), line);
    assert_eq!(found.code, Some(0), "a new one is made at the start");
    // Another program's file is nobody's slip, and neither is the name of a second server's.
    Intruder::open(&folder.path().join("cats.db")).run("CREATE TABLE cats (name TEXT)");
    for other in ["cat.db", "nightlatch2.db"] {
        assert_wrong(&url(&folder.path().join(other)), &[]).find("database-file-missing");
    }
    fs::remove_file(folder.path().join("cats.db")).expect("it is ours");
    assert_eq!(names(folder.path()), before, "nothing was opened or made");
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("it is there").flatten();
    let mut names: Vec<_> = names.map(|it| it.file_name().display().to_string()).collect();
    names.sort();
    names
}

#[test]
fn what_is_in_a_file_is_told_apart() {
    let (folder, path) = record();
    let text = folder.path().join("text.db");
    fs::write(&text, "sesame ".repeat(1000)).expect("our folder");
    assert_wrong(&url(&text), &["database-not-sqlite"]);
    let other = folder.path().join("other.db");
    Intruder::open(&other).run("CREATE TABLE cats (name TEXT)");
    assert_wrong(&url(&other), &["database-foreign"]);

    let copy = |name: &str| {
        let to = folder.path().join(name);
        fs::copy(&path, &to).expect("our folder");
        to
    };
    let later = copy("later.db");
    Intruder::open(&later).run("INSERT INTO schema_migrations VALUES (99, '0099_x', 'x', 0)");
    let found = assert_wrong(&url(&later), &["database-schema-newer"]);
    assert!(why(&found, "database-schema-newer").contains("step 99"));
    let earlier = copy("earlier.db");
    Intruder::open(&earlier).run("DELETE FROM schema_migrations WHERE version = 5");
    let found = assert_wrong(&url(&earlier), &[]);
    assert!(why(&found, "database-schema-old").contains("0005_standings"));
    let changed = copy("changed.db");
    Intruder::open(&changed).run("UPDATE schema_migrations SET checksum = 'x' WHERE version = 2");
    assert_wrong(&url(&changed), &["database-schema-changed"]);

    let damaged = copy("damaged.db");
    let page = Intruder::open(&damaged).root_page("sessions");
    let _was = damage(&damaged, page);
    assert_wrong(&url(&damaged), &["database-corrupt"]);

    let locked = copy("locked.db");
    let intruder = Intruder::open(&locked);
    intruder.lock();
    assert_wrong(&url(&locked), &["database-locked"]);
    intruder.let_go();
    assert_wrong(&url(&locked), &[]);
}

#[test]
fn rights_that_are_missing_or_too_many_are_told_with_the_command() {
    let (folder, path) = record();
    allow(folder.path(), 0o755);
    allow(&path, 0o644);
    let found = assert_wrong(&url(&path), &["database-file-exposed"]);
    assert_eq!(fix(&found, "database-file-exposed"), format!("chmod 600 {}", path.display()));
    allow(&path, 0o600);
    give_to_server(folder.path());
    judge("its own", unprivileged_of(&path), &[]);

    allow(&path, 0o400);
    let found = judge("a file", unprivileged_of(&path), &["database-file-forbidden"]);
    assert_eq!(fix(&found, "database-file-forbidden"), format!("chmod u+rw {}", path.display()));
    allow(&path, 0o600);
    allow(folder.path(), 0o500);
    let found = judge("a folder", unprivileged_of(&path), &["database-folder-forbidden"]);
    let granted = format!("chmod u+wx {}", folder.path().display());
    assert_eq!(fix(&found, "database-folder-forbidden"), granted);
    allow(folder.path(), 0o700);
}

#[test]
fn disks_that_are_small_or_read_only_are_told_apart() {
    for (mebibytes, ids) in
        [(40, &["database-disk-full"][..]), (200, &["database-disk-low"]), (900, &[])]
    {
        let disk = SmallDisk::in_memory(mebibytes);
        let path = disk.file("n.db");
        migrate(&path);
        assert_wrong(&url(&path), ids);
        if ids.is_empty() {
            disk.make_read_only();
            assert_wrong(&url(&path), &["database-readonly"]);
            assert_wrong(&url(&disk.file("new.db")), &["database-readonly"]);
        }
    }
}
