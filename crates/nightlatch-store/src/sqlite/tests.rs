//! Tests of the machinery beneath the ports: what the contract suite cannot see from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nightlatch_core::{
    Clock, Deadline, Entropy, FailureClass, FeedStore, Outcome, RecordStore, SessionStore,
    StoreError, StoreErrorKind, StoreResult, SystemClock, SystemEntropy, Timestamp,
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{BackupError, CHANGES_MAX, SqliteRecord, writer};

/// A clock that a test can push forward.
struct PushedClock(AtomicU64);

impl PushedClock {
    fn push(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}

impl Clock for PushedClock {
    fn wall(&self) -> Timestamp {
        SystemClock.wall()
    }

    fn boottime(&self) -> Duration {
        SystemClock.boottime() + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// A record in a folder of its own.
struct World {
    record: SqliteRecord,
    clock: Arc<PushedClock>,
    folder: TempDir,
}

impl World {
    fn unmigrated() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(PushedClock(AtomicU64::new(0)));
        let record = open(&folder.path().join("n.db"), clock.clone());
        Self { record, clock, folder }
    }

    async fn new() -> Self {
        let world = Self::unmigrated();
        world.record.migrate(world.soon()).await.expect("a fresh file can be migrated");
        world
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("n.db")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A generous deadline: machines that run tests are busy.
    fn soon(&self) -> Deadline {
        self.within(Duration::from_secs(20))
    }

    fn within(&self, span: Duration) -> Deadline {
        Deadline::within(&*self.clock, span)
    }

    /// A change. It is ordered at once, not only when it is awaited.
    fn put(&self, name: &'static str) -> StoreResult<'_, Vec<u8>> {
        self.record.shared_secret(name, name.into(), self.soon())
    }

    async fn holds(&self, name: &'static str) -> Result<bool, StoreError> {
        self.record.look("counting", self.soon(), move |conn| has_secret(conn, name)).await
    }

    /// Another process that holds the write lock.
    fn locked_elsewhere(&self) -> Connection {
        let other = Connection::open(self.path()).expect("the file can be opened twice");
        other.execute_batch("BEGIN IMMEDIATE").expect("nobody else holds the lock");
        other
    }
}

fn open(path: &Path, clock: Arc<dyn Clock>) -> SqliteRecord {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    SqliteRecord::open(path, clock, entropy).expect("threads")
}

fn has_secret(conn: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM shared_secrets WHERE name = ?1)";
    conn.query_row(sql, [name], |row| row.get(0))
}

fn class<T>(result: Result<T, StoreError>) -> (FailureClass, Outcome) {
    let error = result.err().expect("the record cannot answer");
    (error.class(), error.outcome())
}

/// Steps without end: only a deadline ends it.
const ENDLESS: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

#[tokio::test]
async fn the_file_is_its_owners_alone_and_closing_leaves_one_file() {
    let world = World::new().await;
    world.put("a").await.expect("works");
    let mode = fs::metadata(world.path()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let World { record, folder, .. } = world;
    record.close();
    let names: Vec<_> = fs::read_dir(folder.path()).expect("readable").collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[tokio::test]
async fn what_waits_is_committed_when_the_record_is_closed() {
    let world = World::new().await;
    let waiting = world.record.shared_secret("late", vec![1], world.soon());
    drop(waiting);
    let World { record, clock, folder } = world;
    record.close();
    let again = open(&folder.path().join("n.db"), clock.clone());
    let world = World { record: again, clock, folder };
    assert!(world.holds("late").await.expect("readable"));
}

#[tokio::test]
async fn a_missing_folder_is_missing_and_never_created() {
    let world = World::unmigrated();
    let record = open(&world.file("nowhere/n.db"), world.clock.clone());
    let migrated = record.migrate(world.soon()).await;
    assert_eq!(class(migrated).0, FailureClass::Missing);
    assert_eq!(class(record.probe(world.soon()).await).0, FailureClass::Missing);
    assert!(!world.file("nowhere").exists());
}

#[tokio::test]
async fn a_file_that_was_not_migrated_is_not_used() {
    let world = World::unmigrated();
    assert_eq!(class(world.put("a").await), (FailureClass::Missing, Outcome::NotApplied));
    fs::write(world.path(), "").expect("writable");
    assert_eq!(class(world.put("a").await), (FailureClass::Schema, Outcome::NotApplied));
    world.record.migrate(world.soon()).await.expect("an empty file can be migrated");
    world.put("a").await.expect("works");
}

#[tokio::test]
async fn a_removed_file_is_missing_until_it_is_back() {
    let world = World::new().await;
    world.put("before").await.expect("works");
    fs::rename(world.path(), world.file("away")).expect("same folder");
    assert_eq!(class(world.put("void").await), (FailureClass::Missing, Outcome::NotApplied));
    assert_eq!(class(world.holds("before").await).0, FailureClass::Missing);
    let migrated = world.record.migrate(world.soon()).await;
    assert_eq!(class(migrated).0, FailureClass::Missing);
    assert!(!world.path().exists(), "nothing may be created in its place");
    fs::rename(world.file("away"), world.path()).expect("same folder");
    world.put("after").await.expect("the file is back");
    assert!(world.holds("before").await.expect("readable"));
    assert!(!world.holds("void").await.expect("readable"));
}

#[tokio::test]
async fn a_file_removed_while_nobody_asks_is_noticed() {
    let world = World::new().await;
    fs::remove_file(world.path()).expect("there");
    assert_eq!(class(world.record.probe(world.soon()).await).0, FailureClass::Missing);
}

#[tokio::test]
async fn a_restored_backup_becomes_the_record_without_the_log_of_the_earlier_file() {
    let world = World::new().await;
    world.put("kept").await.expect("works");
    world.record.backup(&world.file("backup"), world.soon()).await.expect("a backup");
    world.put("lost").await.expect("works");
    fs::rename(world.file("backup"), world.path()).expect("same folder");
    world.put("after").await.expect("the restored file is the record");
    assert!(world.holds("kept").await.expect("readable"));
    assert!(!world.holds("lost").await.expect("readable"));
    let is_aside = |name: &str| name.starts_with("n.db-wal.orphan-");
    let names = fs::read_dir(world.folder.path()).expect("readable");
    let mut names = names.map(|entry| entry.expect("readable").file_name().into_string().unwrap());
    assert!(names.any(|name| is_aside(&name)), "the earlier log is kept");
}

#[tokio::test]
async fn a_file_of_another_program_in_its_place_is_refused_and_left_alone() {
    let world = World::new().await;
    let foreign = Connection::open(world.file("foreign")).expect("creatable");
    foreign.execute_batch("CREATE TABLE theirs (x)").expect("an empty file");
    drop(foreign);
    let before = fs::read(world.file("foreign")).expect("readable");
    fs::rename(world.file("foreign"), world.path()).expect("same folder");
    assert_eq!(class(world.put("a").await), (FailureClass::Schema, Outcome::NotApplied));
    let migrated = world.record.migrate(world.soon()).await;
    assert_eq!(class(migrated).0, FailureClass::Schema);
    assert_eq!(fs::read(world.path()).expect("readable"), before);
}

#[tokio::test]
async fn a_file_that_is_back_after_another_has_all_that_was_in_its_log() {
    let world = World::new().await;
    world.put("a").await.expect("works");
    fs::rename(world.path(), world.file("aside")).expect("same folder");
    fs::write(world.path(), "no database at all, and nothing to make one of").expect("writable");
    assert_eq!(class(world.put("b").await), (FailureClass::Corrupt, Outcome::NotApplied));
    fs::rename(world.file("aside"), world.path()).expect("same folder");
    world.clock.push(Duration::from_secs(1));
    world.put("c").await.expect("it is the record again");
    assert!(world.holds("a").await.expect("it can be read"));
}

#[tokio::test]
async fn a_damaged_file_is_corrupt_until_a_good_one_is_back() {
    let world = World::new().await;
    world.record.backup(&world.file("good"), world.soon()).await.expect("a backup");
    fs::write(world.file("bad"), [7; 8192]).expect("writable");
    fs::rename(world.file("bad"), world.path()).expect("same folder");
    assert_eq!(class(world.put("a").await), (FailureClass::Corrupt, Outcome::NotApplied));
    fs::rename(world.file("good"), world.path()).expect("same folder");
    world.clock.push(Duration::from_secs(1));
    world.put("a").await.expect("a good file is back");
}

#[tokio::test]
async fn what_a_removed_log_held_is_saved() {
    let world = World::new().await;
    world.put("before").await.expect("works");
    assert!(world.holds("before").await.expect("both sides have the log open"));
    fs::remove_file(world.file("n.db-wal")).expect("there");
    world.put("after").await.expect("works");
    assert!(world.holds("after").await.expect("readers follow to the new log"));
    let World { record, clock, folder } = world;
    record.close();
    let record = open(&folder.path().join("n.db"), clock.clone());
    let world = World { record, clock, folder };
    assert!(world.holds("before").await.expect("readable"));
    assert!(world.holds("after").await.expect("readable"));
}

#[tokio::test]
async fn a_changed_migration_is_noticed_and_a_later_one_is_not_in_the_way() {
    let world = World::new().await;
    let other = Connection::open(world.path()).expect("openable");
    let later = "INSERT INTO schema_migrations VALUES (9000, 'later', 'x', 0)";
    other.execute_batch(later).expect("writable");
    let again = open(&world.path(), world.clock.clone());
    assert_eq!(again.migrate(world.soon()).await.expect("compatible"), Vec::<String>::new());
    other
        .execute_batch("UPDATE schema_migrations SET checksum = 'edited' WHERE version = 1")
        .expect("writable");
    assert_eq!(class(again.migrate(world.soon()).await).0, FailureClass::Schema);
}

#[tokio::test]
async fn a_lock_of_another_process_is_waited_for() {
    let world = World::new().await;
    let lock = world.locked_elsewhere();
    let put = world.put("a");
    let readable = world.holds("a").await.expect("readers do not wait for writers");
    assert!(!readable);
    lock.execute_batch("COMMIT").expect("nothing was changed");
    put.await.expect("the lock is free");
}

#[tokio::test]
async fn a_lock_that_stays_is_named_within_the_deadline() {
    let world = World::new().await;
    let lock = world.locked_elsewhere();
    let deadline = world.within(Duration::from_millis(400));
    let put = world.record.shared_secret("a", vec![1], deadline).await;
    assert_eq!(class(put), (FailureClass::Locked, Outcome::NotApplied));
    assert_eq!(world.record.write_failure(), Some(FailureClass::Locked));
    lock.execute_batch("COMMIT").expect("nothing was changed");
    world.put("b").await.expect("the lock is free");
    assert_eq!(world.record.write_failure(), None);
}

#[tokio::test]
async fn a_change_whose_deadline_is_over_is_skipped() {
    let world = World::new().await;
    let lock = world.locked_elsewhere();
    let patient = world.record.shared_secret("patient", vec![1], world.soon());
    let hasty = world.record.shared_secret("hasty", vec![1], world.within(Duration::ZERO));
    let (class, outcome) = class(hasty.await);
    assert_eq!(outcome, Outcome::NotApplied, "{class}");
    lock.execute_batch("COMMIT").expect("nothing was changed");
    patient.await.expect("works");
    assert!(!world.holds("hasty").await.expect("readable"));
}

#[tokio::test]
async fn a_full_queue_is_told_at_once() {
    let world = World::new().await;
    let lock = world.locked_elsewhere();
    let changes: Vec<_> = (0..=CHANGES_MAX + writer::GROUP_MAX)
        .map(|_| world.record.touch_sessions(Vec::new(), world.soon()))
        .collect();
    let last = world.record.touch_sessions(Vec::new(), world.soon()).await.expect_err("full");
    assert_eq!(last.kind(), StoreErrorKind::Overloaded, "{last:?}");
    assert_eq!(last.outcome(), Outcome::NotApplied);
    lock.execute_batch("COMMIT").expect("nothing was changed");
    drop(changes);
}

#[tokio::test]
async fn a_slow_look_up_ends_at_its_deadline() {
    let world = World::new().await;
    let deadline = world.within(Duration::from_millis(200));
    let slow = world.record.look("being slow", deadline, |conn| {
        conn.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(slow.await.expect_err("endless").kind(), StoreErrorKind::Deadline);
    // Both readers are free again: each of these has one.
    let (one, other) = tokio::join!(world.holds("a"), world.holds("a"));
    assert!(one.is_ok() && other.is_ok());
}

#[tokio::test]
async fn a_change_that_panics_fails_alone() {
    let world = World::new().await;
    let panics = world.record.change("panicking", world.soon(), |change| -> rusqlite::Result<()> {
        change.conn.execute("INSERT INTO shared_secrets VALUES ('half', x'00')", [])?;
        panic!("on purpose")
    });
    let looks = world
        .record
        .look("panicking", world.soon(), |_| -> rusqlite::Result<()> { panic!("on purpose") });
    assert_eq!(class(panics.await).1, Outcome::NotApplied);
    assert_eq!(class(looks.await).1, Outcome::NotApplied);
    world.put("a").await.expect("the writer lives");
    assert!(!world.holds("half").await.expect("the readers live"));
}

#[tokio::test]
async fn a_full_disk_refuses_changes_until_there_is_room() {
    let world = World::new().await;
    let room = |pages: i64| {
        world.record.change("setting room", world.soon(), move |change| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            change.conn.query_row(&sql, [], |row| row.get::<_, i64>(0))
        })
    };
    room(1).await.expect("the limit is set to what is there");
    let big = || world.record.shared_secret("big", vec![1; 100_000], world.soon());
    assert_eq!(class(big().await), (FailureClass::DiskFull, Outcome::NotApplied));
    assert!(!world.holds("big").await.expect("reading goes on"));
    room(1 << 20).await.expect("room");
    big().await.expect("there is room");
    assert_eq!(world.record.write_failure(), None);
}

#[tokio::test]
async fn a_read_only_connection_is_opened_anew() {
    let world = World::new().await;
    let set = world.record.change("locking", world.soon(), |change| {
        change.conn.execute_batch("PRAGMA query_only = ON")
    });
    set.await.expect("a setting");
    let refused = class(world.put("a").await);
    assert_eq!(refused, (FailureClass::Readonly, Outcome::NotApplied));
    world.clock.push(Duration::from_secs(1));
    world.put("a").await.expect("a new connection writes");
}

#[tokio::test]
async fn a_backup_is_a_record_and_replaces_nothing() {
    let world = World::new().await;
    world.put("a").await.expect("works");
    let target = world.file("backup.db");
    world.record.backup(&target, world.soon()).await.expect("a backup");
    let again = world.record.backup(&target, world.soon()).await;
    assert!(matches!(again, Err(BackupError::TargetExists)), "{again:?}");
    let mode = fs::metadata(&target).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let copy = open(&target, world.clock.clone());
    assert_eq!(copy.migrate(world.soon()).await.expect("a record"), Vec::<String>::new());
    let original = world.record.probe(world.soon()).await.expect("readable");
    let copied = copy.probe(world.soon()).await.expect("readable");
    let (from, to) = (original.head, copied.head);
    assert_eq!((from.history.record, from.newest), (to.history.record, to.newest));
    assert_ne!(from.history.epoch, to.history.epoch, "what was logged out since lives there");
}

#[tokio::test]
async fn a_backup_that_is_too_slow_leaves_nothing_behind() {
    let world = World::new().await;
    let big = world.record.shared_secret("big", vec![1; 10_000_000], world.soon());
    big.await.expect("works");
    let clock = Arc::clone(&world.clock);
    let deadline = world.within(Duration::from_mins(1));
    let to = world.file("backup.db");
    let (shared, target) = (Arc::clone(&world.record.shared), to.clone());
    // The reader itself has longer than the clock is pushed.
    let patient = world.within(Duration::from_mins(10));
    let backup = world.record.look("backup", patient, move |conn| {
        clock.push(Duration::from_secs(61));
        let ports = (&*shared.clock, &*shared.entropy);
        Ok(super::backup::write(conn, &target, deadline, ports))
    });
    let backup = backup.await.expect("the reader answers");
    assert!(matches!(backup, Err(BackupError::Deadline)), "{backup:?}");
    let names: Vec<_> = fs::read_dir(world.folder.path())
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name().into_string().unwrap())
        .filter(|name| name.contains("backup"))
        .collect();
    assert_eq!(names, Vec::<String>::new());
}
