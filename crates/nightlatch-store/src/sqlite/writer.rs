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

use nightlatch_core::{Deadline, Outcome};
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
    fn task(&self) -> &Task;
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
    fn task(&self) -> &Task {
        &self.reply.task
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
    fn commit(&mut self, group: Group) {
        let clock = Arc::clone(&self.shared.clock);
        let mut rest = Group::new();
        for change in group {
            match change.task().begin(&*clock) {
                Ok(()) => rest.push(change),
                Err(failure) => change.fail(&failure, Outcome::NotApplied),
            }
        }
        while !rest.is_empty() {
            rest = self.commit_once(rest);
        }
    }

    fn commit_once(&mut self, mut group: Group) -> Group {
        let deadline = group.iter().map(|change| change.task().deadline).max();
        let deadline = deadline.expect("the group is not empty");
        let prepared = self.opening.ready().and_then(|link| {
            self.limit.set(deadline.at_most(&*self.shared.clock, LOCK_WAIT_MAX));
            link.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            Ok(())
        });
        if let Err(failure) = prepared {
            self.fail_all(group, &failure, Outcome::NotApplied);
            return Group::new();
        }
        let conn = &self.opening.link().expect("it was ready").conn;
        match run_group(conn, &self.shared, &self.limit, &mut group) {
            Ran::Done(trouble) => {
                match finish(conn) {
                    Ok(()) => self.acknowledge(group),
                    Err((failure, outcome)) => self.fail_all(group, &failure, outcome),
                }
                if let Some(failure) = trouble {
                    self.note(&failure);
                }
                Group::new()
            }
            Ran::RolledBack { by, failure } => self.leave_out(group, by, &failure),
        }
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
        let link = self.opening.link().expect("it has just committed");
        if let Err(failure) = link.file.check(&self.shared.path) {
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

    fn migrate(&mut self, reply: Reply<Vec<String>>) {
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

enum Ran {
    /// The group is ready to be committed. What failed alone may tell of the file.
    Done(Option<Failure>),
    /// The change at `by` made SQLite roll back the whole transaction.
    RolledBack { by: usize, failure: Failure },
}

/// Runs each change in a savepoint. Those that fail alone are answered and leave the group.
fn run_group(conn: &Connection, shared: &Shared, limit: &Limit, group: &mut Group) -> Ran {
    let change = Change { conn, entropy: &*shared.entropy, now: shared.record_clock.now() };
    let mut trouble = None;
    let mut next = 0;
    while let Some(job) = group.get_mut(next) {
        limit.set(job.task().deadline);
        let ran = run_in_savepoint(&change, &mut **job);
        let Err(error) = ran else {
            next += 1;
            continue;
        };
        let failure = Failure::from(error);
        limit.set_within(COMMIT_MAX);
        if conn.is_autocommit() || undo(conn).is_err() {
            return Ran::RolledBack { by: next, failure };
        }
        group.remove(next).fail(&failure, Outcome::NotApplied);
        if failure.is_of_the_file() {
            trouble = Some(failure);
        }
    }
    limit.set_within(COMMIT_MAX);
    Ran::Done(trouble)
}

fn run_in_savepoint(change: &Change<'_>, job: &mut dyn Changing) -> rusqlite::Result<()> {
    change.conn.prepare_cached("SAVEPOINT change")?.execute([])?;
    match catch_unwind(AssertUnwindSafe(|| job.run(change))) {
        Ok(ran) => ran?,
        Err(_panic) => return Err(rusqlite::Error::UnwindingPanic),
    }
    change.conn.prepare_cached("RELEASE change")?.execute([])?;
    Ok(())
}

fn undo(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("ROLLBACK TO change")?.execute([])?;
    conn.prepare_cached("RELEASE change")?.execute([])?;
    Ok(())
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
