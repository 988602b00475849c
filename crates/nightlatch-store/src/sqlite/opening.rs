//! Which file the record is, and keeping it open.
//!
//! Nothing here ends the server: a file that cannot be used now is tried again. Three rules say
//! which file is the record:
//!
//! * Only `migrate` creates it, and only if this process has never had one: a file that was
//!   removed under us is *missing* until it is back. An empty record in its place would log
//!   everybody out and let a stranger register their names.
//! * Another file at the path becomes the record if it holds a migrated schema: somebody has
//!   restored a backup. What the earlier file left in its log is set aside.
//! * A log that was removed under us is copied into the database file from our open descriptor,
//!   then all is opened anew.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{Deadline, FailureClass};

use super::connection::{Link, Role, use_write_ahead_log};
use super::failure::{Failure, Fault};
use super::file::{self, FileId};
use super::limit::Limit;
use super::log::Log;
use super::migration;
use super::shared::{RETRY_EVERY, Shared};

/// The writer's connection and all it knows about the file.
pub(super) struct Opening {
    shared: Arc<Shared>,
    limit: Arc<Limit>,
    link: Option<Link>,
    /// The file that was the record last, with its log.
    last: Option<(FileId, Option<FileId>)>,
    tried_at: Option<Duration>,
    /// Why the last opening failed.
    failure: Option<Failure>,
    /// The connection failed in a way that a new one may not.
    tainted: bool,
}

impl Opening {
    pub(super) fn new(shared: Arc<Shared>, limit: Arc<Limit>) -> Self {
        Self {
            shared,
            limit,
            link: None,
            last: None,
            tried_at: None,
            failure: None,
            tainted: false,
        }
    }

    /// The connection, if there is one.
    pub(super) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// A connection to the file that the path names, opened anew when that is due.
    pub(super) fn ready(&mut self) -> Result<&Link, Failure> {
        let due = self.is_due();
        let usable = match &self.link {
            Some(link) => match link.check(&self.shared) {
                Ok(()) => !(self.tainted && due),
                Err(_gone) => {
                    self.save_log();
                    false
                }
            },
            None => false,
        };
        if !usable {
            if let (None, false, Some(failure)) = (&self.link, due, &self.failure) {
                return Err(failure.clone());
            }
            self.close();
            let opened = self.open();
            self.settle(opened)?;
        }
        Ok(self.link.as_ref().expect("it was usable, or has been opened"))
    }

    /// Brings the schema up to this release and gives the names of the steps.
    pub(super) fn migrate(&mut self, deadline: Deadline) -> Result<Vec<String>, Failure> {
        self.close();
        let mut applied = Vec::new();
        let opened = self.open_and_migrate(deadline, &mut applied);
        self.settle(opened)?;
        Ok(applied)
    }

    /// Notes a failure of the connection.
    pub(super) fn note(&mut self, failure: &Failure) {
        self.tainted |= failure.taints_connection();
    }

    pub(super) fn close(&mut self) {
        self.link = None;
        self.tainted = false;
    }

    fn open(&self) -> Result<Link, Failure> {
        let link = self.open_file()?;
        migration::check(&link.conn)?;
        use_write_ahead_log(&link.conn)?;
        Ok(link)
    }

    fn open_and_migrate(
        &self,
        deadline: Deadline,
        applied: &mut Vec<String>,
    ) -> Result<Link, Failure> {
        let path = &self.shared.path;
        if self.last.is_none() && FileId::at(path)?.is_none() {
            file::create(path).map_err(|error| Failure::of(Fault::File(error)))?;
        }
        let mut link = self.open_file()?;
        self.limit.set(deadline);
        let now = self.shared.record_clock.now();
        *applied = migration::run(&mut link.conn, &*self.shared.entropy, now)?;
        migration::check(&link.conn)?;
        Ok(link)
    }

    fn open_file(&self) -> Result<Link, Failure> {
        let path = &self.shared.path;
        if let (Some((last, Some(log))), Some(file)) = (self.last, FileId::at(path)?)
            && last != file
        {
            file::set_orphaned_log_aside(path, log)?;
        }
        Link::open(path, Role::Writer, &self.limit)
    }

    /// Takes the result of an opening and tells the readers.
    fn settle(&mut self, opened: Result<Link, Failure>) -> Result<(), Failure> {
        self.tried_at = Some(self.shared.clock.boottime());
        let opened = opened.and_then(|mut link| {
            link.log = FileId::at(&self.shared.log_path)?;
            Ok(link)
        });
        match opened {
            Ok(link) => {
                if self.last.is_some_and(|(last, _)| last != link.file) {
                    tracing::warn!(
                        store.name = "sqlite",
                        "another database file is the record now"
                    );
                }
                self.last = Some((link.file, link.log));
                self.shared.decide(Ok(link.file));
                self.failure = None;
                self.link = Some(link);
                Ok(())
            }
            Err(failure) => {
                self.shared.decide(Err(failure.clone()));
                self.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    /// If only the log was removed, what it holds is in no other place than our open descriptor.
    fn save_log(&self) {
        let Some(link) = &self.link else { return };
        if link.file.check(&self.shared.path).is_err() {
            return;
        }
        self.limit.set_within(RETRY_EVERY);
        match Log::copy_back(link) {
            Ok(()) => tracing::warn!(
                store.name = "sqlite",
                "the write-ahead log was removed under us; what it held is saved"
            ),
            Err(error) => tracing::error!(
                store.name = "sqlite",
                error = &error as &dyn std::error::Error,
                "the write-ahead log was removed under us and could not be saved"
            ),
        }
    }

    fn is_due(&self) -> bool {
        // Looking whether a file is there costs next to nothing, and whoever has just put it
        // there, or migrated it from another process, goes on at once.
        let waits_for_operator = self.failure.as_ref().is_some_and(|failure| {
            matches!(failure.class, FailureClass::Missing | FailureClass::Schema)
        });
        let now = self.shared.clock.boottime();
        waits_for_operator || self.tried_at.is_none_or(|at| now.saturating_sub(at) >= RETRY_EVERY)
    }
}
