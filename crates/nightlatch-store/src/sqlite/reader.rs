//! The threads that read the record.
//!
//! Two are enough: a look-up takes microseconds, and what is slow ends at its deadline.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightlatch_core::{Deadline, Outcome};
use rusqlite::Connection;

use super::connection::{Link, Role};
use super::failure::{Failure, Fault};
use super::job::{Reply, Task};
use super::limit::Limit;
use super::shared::{Opened, RETRY_EVERY, Shared};

/// How many threads read.
pub(super) const THREADS: usize = 2;

/// A look-up on its way.
pub(super) trait Reading: Send {
    fn task(&mut self) -> &mut Task;
    fn is_unwanted(&self) -> bool;
    /// Reads and answers. Gives back the failure, for what it tells of the connection.
    fn run(self: Box<Self>, conn: &Connection) -> Result<(), Failure>;
    fn fail(self: Box<Self>, failure: &Failure);
}

/// The usual look-up: a closure with its answer.
pub(super) struct Look<T, F> {
    pub(super) reply: Reply<T>,
    pub(super) work: F,
}

impl<T, F> Reading for Look<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
{
    fn task(&mut self) -> &mut Task {
        &mut self.reply.task
    }

    fn is_unwanted(&self) -> bool {
        self.reply.is_unwanted()
    }

    fn run(self: Box<Self>, conn: &Connection) -> Result<(), Failure> {
        let Self { reply, work } = *self;
        match work(conn) {
            Ok(value) => {
                reply.succeed(value);
                Ok(())
            }
            Err(error) => {
                let failure = Failure::from(error);
                reply.fail(&failure, Outcome::NotApplied);
                Err(failure)
            }
        }
    }

    fn fail(self: Box<Self>, failure: &Failure) {
        self.reply.fail(failure, Outcome::NotApplied);
    }
}

/// Look-ups that wait for a thread.
pub(super) type Lookups = Arc<Mutex<Receiver<Box<dyn Reading>>>>;

/// One reading thread.
pub(super) struct Reader {
    shared: Arc<Shared>,
    lookups: Lookups,
    limit: Arc<Limit>,
    link: Option<Link>,
    /// What the link is open on.
    opened: Option<Opened>,
    opened_at: Duration,
    tainted: bool,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, lookups: Lookups) -> Self {
        let limit = Limit::new(Arc::clone(&shared.clock));
        Self {
            shared,
            lookups,
            limit,
            link: None,
            opened: None,
            opened_at: Duration::ZERO,
            tainted: false,
        }
    }

    /// Works until all who could ask are gone.
    pub(super) fn run(mut self) {
        loop {
            match self.next() {
                Ok(look) => self.serve(look),
                Err(RecvTimeoutError::Timeout) => self.drop_what_is_gone(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn next(&self) -> Result<Box<dyn Reading>, RecvTimeoutError> {
        // The others wait for the lock meanwhile: who holds it hands over as soon as it has work.
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(RETRY_EVERY)
    }

    fn serve(&mut self, mut look: Box<dyn Reading>) {
        if look.is_unwanted() {
            return;
        }
        if let Err(failure) = look.task().begin(&*self.shared.clock) {
            look.fail(&failure);
            return;
        }
        let deadline = look.task().deadline;
        if let Err(failure) = self.prepare(deadline) {
            self.drop_what_is_gone();
            look.fail(&failure);
            return;
        }
        let conn = &self.link.as_ref().expect("it was prepared").conn;
        match catch_unwind(AssertUnwindSafe(|| look.run(conn))) {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                self.tainted |= failure.taints_connection();
                if failure.is_of_the_file() {
                    self.shared.note_failed_read(failure.class);
                }
            }
            // Its caller has heard of it by the dropped answer.
            Err(_panic) => self.link = None,
        }
    }

    /// Has a connection to the file that the writer says is the record.
    fn prepare(&mut self, deadline: Deadline) -> Result<(), Failure> {
        let clock = &*self.shared.clock;
        let decided = self.shared.opened(deadline.remaining(clock));
        let opened = decided.unwrap_or_else(|| Err(Failure::of(Fault::TooLate)))?;
        opened.check(&self.shared)?;
        let now = clock.boottime();
        let taint_is_due = self.tainted && now.saturating_sub(self.opened_at) >= RETRY_EVERY;
        if taint_is_due || self.opened != Some(opened) {
            self.link = None;
        }
        if self.link.is_none() {
            let link = Link::open(&self.shared.path, Role::Reader, &self.limit)?;
            if link.file != opened.file {
                return Err(Failure::of(Fault::Replaced));
            }
            self.link = Some(link);
            self.opened = Some(opened);
            self.opened_at = now;
            self.tainted = false;
        }
        self.limit.set(deadline);
        Ok(())
    }

    /// A connection to what is the record no longer must not keep it open.
    fn drop_what_is_gone(&mut self) {
        let opened = self.shared.opened(Duration::ZERO).and_then(Result::ok);
        if opened != self.opened {
            self.link = None;
            self.opened = None;
        }
    }
}
