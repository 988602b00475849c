//! The one thread that changes the record, and how it commits waiting changes together.
//!
//! A commit costs a sync of the disk. Changes that wait while one commit runs share the next one:
//! 64 logins cost one sync, not 64. Each has a savepoint of its own, so that one that fails takes
//! nothing of the others with it.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use nightlatch_core::{Deadline, FailureClass, Outcome};
use rusqlite::{Connection, ErrorCode};

use super::failure::Failure;
use super::feed::Change;
use super::job::{Reply, Task};
use super::limit::Limit;
use super::log::Log;
use super::opening::Opening;
use super::shared::{RETRY_EVERY, Shared};

/// The most changes of one commit.
pub(super) const GROUP_MAX: usize = 64;
/// How long a group waits for another process's lock at most.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
/// The same while it is known that somebody holds it: what can heal within a deadline would have,
/// and callers shall hear so at once.
const LOCK_WAIT_KNOWN: Duration = Duration::from_millis(200);
/// A commit that has begun is not interrupted; a disk that takes longer than this is an error.
const COMMIT_MAX: Duration = Duration::from_secs(30);

/// What the writer is asked to do.
pub(super) enum Order {
    /// A change, to be committed together with others.
    Change(Box<dyn Changing>),
    /// Bring the schema up to this release, creating the file if it never was there.
    Migrate(Reply<Vec<String>>),
}

/// A change on its way: work that may be run again when its group was rolled back, and its answer.
pub(super) trait Changing: Send {
    fn task(&mut self) -> &mut Task;
    /// Runs inside a savepoint.
    fn run(&mut self, change: &Change<'_>) -> rusqlite::Result<()>;
    /// Answers what the last run came to: it is committed.
    fn succeed(self: Box<Self>);
    fn fail(self: Box<Self>, failure: &Failure, outcome: Outcome);
}

/// The usual change: a closure with its answer.
pub(super) struct Work<T, F> {
    pub(super) reply: Reply<T>,
    pub(super) run: F,
    pub(super) result: Option<T>,
}

impl<T, F> Changing for Work<T, F>
where
    T: Send,
    F: FnMut(&Change<'_>) -> rusqlite::Result<T> + Send,
{
    fn task(&mut self) -> &mut Task {
        &mut self.reply.task
    }

    fn run(&mut self, change: &Change<'_>) -> rusqlite::Result<()> {
        self.result = Some((self.run)(change)?);
        Ok(())
    }

    fn succeed(self: Box<Self>) {
        let result = self.result.expect("only changes that ran are committed");
        self.reply.succeed(result);
    }

    fn fail(self: Box<Self>, failure: &Failure, outcome: Outcome) {
        self.reply.fail(failure, outcome);
    }
}

/// The writer's side of the record.
pub(super) struct Writer {
    shared: Arc<Shared>,
    orders: Receiver<Order>,
    limit: Arc<Limit>,
    opening: Opening,
    log: Log,
}

type Group = Vec<Box<dyn Changing>>;
/// Changes that failed alone; they are answered when all is known about the file.
type Failed = Vec<(Box<dyn Changing>, Failure)>;

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, orders: Receiver<Order>) -> Self {
        let limit = Limit::new(Arc::clone(&shared.clock));
        let opening = Opening::new(Arc::clone(&shared), Arc::clone(&limit));
        Self { shared, orders, limit, opening, log: Log::new() }
    }

    /// Works until all who could give orders are gone.
    pub(super) fn run(mut self) {
        self.look_after_file();
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                // Its callers hear that the outcome is unknown; a fresh connection carries on.
                Err(_panic) => self.opening.close(),
            }
        }
        self.stop();
    }

    fn turn(&mut self) -> ControlFlow<()> {
        let mut group = Group::new();
        let migrate = match self.orders.recv_timeout(RETRY_EVERY) {
            Ok(Order::Change(change)) => {
                group.push(change);
                self.gather(&mut group)
            }
            Ok(Order::Migrate(reply)) => Some(reply),
            Err(RecvTimeoutError::Timeout) => {
                self.look_after_file();
                return ControlFlow::Continue(());
            }
            Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(()),
        };
        self.commit(group);
        if let Some(reply) = migrate {
            self.migrate(reply);
        }
        self.shorten_log();
        ControlFlow::Continue(())
    }

    /// Takes what is waiting, without delay.
    fn gather(&self, group: &mut Group) -> Option<Reply<Vec<String>>> {
        while group.len() < GROUP_MAX {
            match self.orders.try_recv() {
                Ok(Order::Change(change)) => group.push(change),
                Ok(Order::Migrate(reply)) => return Some(reply),
                Err(_none) => return None,
            }
        }
        None
    }

    /// Commits the group. A change that SQLite answered by rolling all back is left out and the
    /// others are run again: each round has one less.
    fn commit(&mut self, mut group: Group) {
        let clock = Arc::clone(&self.shared.clock);
        let mut failed = Vec::new();
        while !group.is_empty() {
            take_out(&mut group, &mut failed, |change| change.task().check(&*clock));
            group = self.commit_once(group, &mut failed);
            for (change, failure) in failed.drain(..) {
                if failure.is_of_the_file() {
                    self.note(&failure);
                }
                change.fail(&failure, Outcome::NotApplied);
            }
        }
    }

    /// Gives back what has to be run again.
    fn commit_once(&mut self, mut group: Group, failed: &mut Failed) -> Group {
        let Some(deadline) = group.iter_mut().map(|change| change.task().deadline).max() else {
            return group;
        };
        let prepared = self.opening.ready().and_then(|link| {
            let wait = if self.shared.write_failure() == Some(FailureClass::Locked) {
                LOCK_WAIT_KNOWN
            } else {
                LOCK_WAIT_MAX
            };
            self.limit.set(deadline.at_most(&*self.shared.clock, wait));
            link.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            Ok(())
        });
        if let Err(failure) = prepared {
            self.fail_all(group, &failure, Outcome::NotApplied);
            return Group::new();
        }
        let conn = &self.opening.link().expect("it was ready").conn;
        if let Err((by, failure)) = run_group(conn, &self.shared, &self.limit, (&mut group, failed))
        {
            return self.leave_out(group, by, &failure);
        }
        match finish(conn) {
            Ok(()) => self.acknowledge(group),
            Err((failure, outcome)) => self.fail_all(group, &failure, outcome),
        }
        Group::new()
    }

    /// All was rolled back because of the change at `by`. A sick file fails everybody; one change
    /// that is too slow fails alone, and the others are run again.
    fn leave_out(&mut self, mut group: Group, by: usize, failure: &Failure) -> Group {
        let rolled_back = self.opening.link().is_some_and(|link| link.conn.is_autocommit());
        if !rolled_back {
            // Closing ends the transaction.
            self.opening.close();
        }
        if failure.is_of_the_file() || !rolled_back {
            self.fail_all(group, failure, Outcome::NotApplied);
            return Group::new();
        }
        group.remove(by).fail(failure, Outcome::NotApplied);
        group
    }

    fn acknowledge(&mut self, group: Group) {
        // What was committed into a file that the path no longer names would be gone unnoticed.
        if let Err(failure) = self.opening.check() {
            self.fail_all(group, &failure, Outcome::Unknown);
            return;
        }
        self.shared.note_writes(None);
        for change in group {
            change.succeed();
        }
    }

    fn fail_all(&mut self, group: Group, failure: &Failure, outcome: Outcome) {
        self.note(failure);
        for change in group {
            change.fail(failure, outcome);
        }
    }

    fn note(&mut self, failure: &Failure) {
        self.shared.note_writes(Some(failure.class));
        self.opening.note(failure);
    }

    fn migrate(&mut self, mut reply: Reply<Vec<String>>) {
        if let Err(failure) = reply.task.begin(&*self.shared.clock) {
            reply.fail(&failure, Outcome::NotApplied);
            return;
        }
        match self.opening.migrate(reply.task.deadline) {
            Ok(applied) => {
                self.shared.note_writes(None);
                reply.succeed(applied);
            }
            Err(failure) => {
                self.note(&failure);
                // Each step is a transaction of its own and knows whether it was applied.
                reply.fail(&failure, Outcome::Unknown);
            }
        }
    }

    /// Notices what happens to the file while nobody asks, and when changes are possible again.
    fn look_after_file(&mut self) {
        if let Err(failure) = self.opening.ready().map(|_| ()) {
            self.note(&failure);
            return;
        }
        if self.shared.write_failure().is_none() {
            return;
        }
        match self.try_to_write() {
            Ok(()) => self.shared.note_writes(None),
            Err(failure) => self.note(&failure),
        }
    }

    fn try_to_write(&mut self) -> Result<(), Failure> {
        self.limit.set(Deadline::within(&*self.shared.clock, RETRY_EVERY));
        let conn = &self.opening.ready()?.conn;
        conn.prepare_cached("UPDATE feed_head SET pruned_to = pruned_to")?.execute([])?;
        Ok(())
    }

    fn shorten_log(&mut self) {
        let Some(link) = self.opening.link() else { return };
        self.limit.set_within(COMMIT_MAX);
        if let Err(error) = self.log.shorten(link) {
            let failure = Failure::from(error);
            self.note(&failure);
        }
    }

    /// A clean stop leaves one file without a log.
    fn stop(mut self) {
        self.limit.set_within(RETRY_EVERY);
        if let Some(link) = self.opening.link()
            && let Err(error) = Log::empty(link)
        {
            tracing::info!(
                store.name = "sqlite",
                error = &error as &dyn std::error::Error,
                "the write-ahead log was not emptied; the next start reads it"
            );
        }
        self.opening.close();
    }
}

/// Runs each change in a savepoint. Those that fail alone leave the group; an error names the
/// change that made SQLite roll back the whole transaction.
fn run_group(
    conn: &Connection,
    shared: &Shared,
    limit: &Limit,
    (group, failed): (&mut Group, &mut Failed),
) -> Result<(), (usize, Failure)> {
    let change = Change { conn, entropy: &*shared.entropy, now: shared.record_clock.now() };
    let mut next = 0;
    while let Some(job) = group.get_mut(next) {
        if let Err(failure) = job.task().begin(&*shared.clock) {
            failed.push((group.remove(next), failure));
            continue;
        }
        limit.set(job.task().deadline);
        let ran = run_in_savepoint(&change, &mut **job);
        limit.set_within(COMMIT_MAX);
        let Err(error) = ran else {
            next += 1;
            continue;
        };
        let failure = Failure::from(error);
        // What cannot be undone must not be committed with the rest.
        if conn.is_autocommit() || undo(conn).is_err() {
            return Err((next, failure));
        }
        failed.push((group.remove(next), failure));
    }
    limit.set_within(COMMIT_MAX);
    Ok(())
}

fn run_in_savepoint(change: &Change<'_>, job: &mut dyn Changing) -> rusqlite::Result<()> {
    change.conn.prepare_cached("SAVEPOINT change")?.execute([])?;
    let ran = catch_unwind(AssertUnwindSafe(|| job.run(change)));
    ran.unwrap_or(Err(rusqlite::Error::UnwindingPanic))?;
    change.conn.prepare_cached("RELEASE change")?.execute([])?;
    Ok(())
}

fn undo(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("ROLLBACK TO change")?.execute([])?;
    conn.prepare_cached("RELEASE change")?.execute([])?;
    Ok(())
}

/// Takes out those that a check refuses.
fn take_out(
    group: &mut Group,
    failed: &mut Failed,
    check: impl Fn(&mut Box<dyn Changing>) -> Result<(), Failure>,
) {
    for mut change in std::mem::take(group) {
        match check(&mut change) {
            Ok(()) => group.push(change),
            Err(failure) => failed.push((change, failure)),
        }
    }
}

/// Commits, or says what is known of the outcome.
fn finish(conn: &Connection) -> Result<(), (Failure, Outcome)> {
    let committed = conn.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    let Err(error) = committed else { return Ok(()) };
    // After a failed write or sync the commit may be in the log all the same: a crash would
    // bring it back. Only a commit that did not begin to write is surely undone.
    let had_not_begun = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
    let undone = conn.is_autocommit() || conn.execute_batch("ROLLBACK").is_ok();
    let outcome = if had_not_begun && undone { Outcome::NotApplied } else { Outcome::Unknown };
    Err((Failure::from(error), outcome))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::sync::mpsc::{SyncSender, sync_channel};

    use nightlatch_core::{StoreError, SystemClock, SystemEntropy};
    use tempfile::TempDir;

    use super::super::job::{Pending, job};
    use super::*;

    /// A writer whose turns the test takes.
    struct Desk {
        writer: Writer,
        orders: SyncSender<Order>,
        _folder: TempDir,
    }

    impl Desk {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("n.db");
            let shared = Shared::new(path, Arc::new(SystemClock), Arc::new(SystemEntropy));
            let (orders, to_do) = sync_channel(GROUP_MAX * 2);
            let mut writer = Writer::new(Arc::new(shared), to_do);
            writer.opening.migrate(soon()).expect("a fresh file can be migrated");
            Self { writer, orders, _folder: folder }
        }

        fn order<T, F>(&self, deadline: Deadline, run: F) -> Pending<T>
        where
            T: Send + 'static,
            F: FnMut(&Change<'_>) -> rusqlite::Result<T> + Send + 'static,
        {
            let (reply, pending) = job("testing", deadline);
            let order = Order::Change(Box::new(Work { reply, run, result: None }));
            self.orders.try_send(order).expect("there is room");
            pending
        }

        fn put(&self, name: &'static str) -> Pending<usize> {
            self.order(soon(), move |change| insert(change.conn, name))
        }

        fn turn(&mut self) {
            assert!(self.writer.turn().is_continue());
        }

        fn log_pages(&self) -> i32 {
            self.writer.opening.link().expect("open").log_pages.load(Ordering::Relaxed)
        }

        fn count(&self) -> i64 {
            let conn = &self.writer.opening.link().expect("open").conn;
            conn.query_row("SELECT count(*) FROM shared_secrets", [], |row| row.get(0))
                .expect("a number")
        }
    }

    fn soon() -> Deadline {
        Deadline::within(&SystemClock, Duration::from_secs(20))
    }

    fn insert(conn: &Connection, name: &str) -> rusqlite::Result<usize> {
        conn.execute("INSERT INTO shared_secrets (name, value) VALUES (?1, x'00')", [name])
    }

    async fn answer<T>(pending: Pending<T>) -> Result<T, StoreError> {
        pending.wait(&SystemClock, Outcome::Unknown, || None).await
    }

    #[tokio::test]
    async fn changes_that_wait_share_one_commit() {
        let mut desk = Desk::new();
        let before = desk.log_pages();
        let pending: Vec<_> = (0..GROUP_MAX)
            .map(|n| {
                let name = format!("{n:02}");
                desk.order(soon(), move |change| insert(change.conn, &name))
            })
            .collect();
        desk.turn();
        for change in pending {
            assert_eq!(answer(change).await.expect("committed"), 1);
        }
        // A commit of its own for each would have written a page for each at least.
        let pages = desk.log_pages() - before;
        assert!((1..16).contains(&pages), "{pages} pages");
    }

    #[tokio::test]
    async fn a_change_that_fails_takes_nothing_of_the_others_with_it() {
        let mut desk = Desk::new();
        let first = desk.put("a");
        let twice = desk.put("a");
        let other = desk.put("b");
        desk.turn();
        assert_eq!(answer(first).await.expect("committed"), 1);
        let error = answer(twice).await.expect_err("the name is taken");
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert_eq!(answer(other).await.expect("committed"), 1);
        assert_eq!(desk.writer.shared.write_failure(), None, "the file is well");
    }

    #[tokio::test]
    async fn a_change_that_is_interrupted_fails_alone_and_the_others_run_again() {
        let mut desk = Desk::new();
        let runs = Arc::new(AtomicI64::new(0));
        let counted = Arc::clone(&runs);
        let first = desk.order(soon(), move |change| {
            counted.fetch_add(1, Ordering::Relaxed);
            insert(change.conn, "first")
        });
        let short = Deadline::within(&SystemClock, Duration::from_millis(100));
        let endless = desk.order(short, |change| {
            change.conn.execute(
                "INSERT INTO shared_secrets (name, value)
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                 SELECT 'n', x'00' FROM n WHERE i < 0",
                [],
            )
        });
        let last = desk.put("last");
        desk.turn();
        assert_eq!(answer(first).await.expect("committed"), 1);
        assert_eq!(answer(last).await.expect("committed"), 1);
        assert_eq!(answer(endless).await.expect_err("endless").class(), FailureClass::Timeout);
        assert_eq!(runs.load(Ordering::Relaxed), 2, "SQLite rolled back the whole group");
        assert_eq!(desk.count(), 2);
    }

    #[tokio::test]
    async fn a_failed_commit_is_unknown_to_the_whole_group() {
        let mut desk = Desk::new();
        // SQLite checks deferred keys when it commits: here the commit itself fails.
        let breaks = desk.order(soon(), |change| {
            change.conn.execute_batch(
                "CREATE TABLE IF NOT EXISTS late (
                     of TEXT REFERENCES shared_secrets (name) DEFERRABLE INITIALLY DEFERRED);
                 INSERT INTO late VALUES ('nobody');",
            )
        });
        let innocent = desk.put("a");
        desk.turn();
        for outcome in [
            answer(breaks).await.expect_err("the key is missing").outcome(),
            answer(innocent).await.expect_err("its commit failed").outcome(),
        ] {
            assert_eq!(outcome, Outcome::Unknown);
        }
        let after = desk.put("a");
        desk.turn();
        assert_eq!(answer(after).await.expect("the next group is not touched by it"), 1);
        assert_eq!(desk.count(), 1);
    }

    #[tokio::test]
    async fn a_sick_file_is_known_before_the_answer_and_its_recovery_without_a_change() {
        let mut desk = Desk::new();
        let room = |pages: i64| {
            move |change: &Change<'_>| {
                let sql = format!("PRAGMA max_page_count = {pages}");
                change.conn.query_row(&sql, [], |row| row.get::<_, i64>(0))
            }
        };
        drop(desk.order(soon(), room(1)));
        let fills = desk.order(soon(), |change| {
            change.conn.execute("INSERT INTO shared_secrets VALUES ('a', zeroblob(100000))", [])
        });
        desk.turn();
        assert_eq!(desk.writer.shared.write_failure(), Some(FailureClass::DiskFull));
        let error = answer(fills).await.expect_err("no room");
        assert_eq!((error.class(), error.outcome()), (FailureClass::DiskFull, Outcome::NotApplied));
        desk.writer.look_after_file();
        assert_eq!(desk.writer.shared.write_failure(), None);
    }

    #[tokio::test]
    async fn a_lock_elsewhere_leaves_the_change_to_its_caller() {
        let mut desk = Desk::new();
        let lock = Connection::open(&desk.writer.shared.path).expect("openable");
        lock.execute_batch("BEGIN IMMEDIATE").expect("free");
        let waits =
            desk.order(Deadline::within(&SystemClock, Duration::from_millis(200)), |_| Ok(()));
        desk.turn();
        let error = answer(waits).await.expect_err("locked");
        assert_eq!((error.class(), error.outcome()), (FailureClass::Locked, Outcome::NotApplied));
    }

    #[tokio::test]
    async fn an_abandoned_change_is_never_run() {
        let mut desk = Desk::new();
        let short = Deadline::within(&SystemClock, Duration::from_millis(20));
        let late = desk.order(short, |change| insert(change.conn, "late"));
        let error = answer(late).await.expect_err("nobody took it");
        assert_eq!(error.outcome(), Outcome::NotApplied);
        desk.turn();
        assert_eq!(desk.count(), 0);
    }

    #[tokio::test]
    async fn what_was_committed_into_a_removed_file_is_not_acknowledged() {
        let mut desk = Desk::new();
        let path = desk.writer.shared.path.clone();
        let late = desk.order(soon(), move |change| {
            std::fs::rename(&path, path.with_extension("away")).expect("same folder");
            insert(change.conn, "void")
        });
        desk.turn();
        let error = answer(late).await.expect_err("the file was removed before the commit");
        assert_eq!((error.class(), error.outcome()), (FailureClass::Missing, Outcome::Unknown));
    }

    #[tokio::test]
    async fn a_long_log_is_copied_back_after_the_answer() {
        let mut desk = Desk::new();
        let big = desk.order(soon(), |change| {
            change.conn.execute("INSERT INTO shared_secrets VALUES ('a', zeroblob(8000000))", [])
        });
        desk.turn();
        assert_eq!(answer(big).await.expect("committed"), 1);
        assert_eq!(desk.log_pages(), 0);
    }
}
