//! Which file the record is, and keeping it open.
//!
//! Nothing here ends the server: a file that cannot be used now is tried again. Three rules say
//! which file is the record:
//!
//! * Only `migrate` creates it, and only if this process has never had one: a file that was
//!   removed under us is *missing* until it is back. An empty record in its place would log
//!   everybody out and let a stranger register their names.
//! * Another file at the path becomes the record if it holds a migrated schema: somebody has
//!   restored a backup. What the earlier file left in its log is set aside, and is its log again
//!   if that file comes back.
//! * A log that was removed under us is copied into the database file from our open descriptor,
//!   then all is opened anew.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{Deadline, FailureClass};

use super::connection::{Link, Role, use_write_ahead_log};
use super::failure::{Failure, Fault};
use super::file::{self, FileId};
use super::limit::Limit;
use super::log::Log;
use super::migration;
use super::shared::{Opened, RETRY_EVERY, Shared};

/// Files that may come back with their logs. More were swapped by hand than anybody does.
const LOGS_ASIDE_MAX: usize = 4;

/// The writer's connection and all it knows about the file.
pub(super) struct Opening {
    shared: Arc<Shared>,
    limit: Arc<Limit>,
    link: Option<Link>,
    /// What was opened last, whether it is open still or not.
    last: Option<Opened>,
    tried_at: Option<Duration>,
    /// Why the last opening failed.
    failure: Option<Failure>,
    /// The connection failed in a way that a new one may not.
    tainted: bool,
    /// Logs that were set aside, and the files that they belong to.
    logs_aside: Vec<(FileId, PathBuf)>,
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
            logs_aside: Vec::new(),
        }
    }

    /// The connection, if there is one.
    pub(super) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Fails if what is open is not what the path names.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.last.map_or(Ok(()), |opened| opened.check(&self.shared))
    }

    /// A connection to the file that the path names, opened anew when that is due.
    pub(super) fn ready(&mut self) -> Result<&Link, Failure> {
        if !self.is_usable()? {
            if let (None, false, Some(failure)) = (&self.link, self.is_due(), &self.failure) {
                return Err(failure.clone());
            }
            self.close();
            let opened = self.open();
            self.settle(opened)?;
        }
        Ok(self.link.as_ref().expect("it was usable, or has been opened"))
    }

    fn is_usable(&self) -> Result<bool, Failure> {
        let Some(link) = &self.link else { return Ok(false) };
        let Err(failure) = self.check() else { return Ok(!(self.tainted && self.is_due())) };
        // Readers close what they have, too.
        self.shared.refuse(failure.clone());
        if link.file.check(&self.shared.path).is_ok() {
            self.save_log(link).map_err(|_tried_again_later| failure)?;
        }
        Ok(false)
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

    fn open(&mut self) -> Result<Link, Failure> {
        let link = self.open_file()?;
        migration::check(&link.conn)?;
        use_write_ahead_log(&link.conn, &self.limit)?;
        Ok(link)
    }

    fn open_and_migrate(
        &mut self,
        deadline: Deadline,
        applied: &mut Vec<String>,
    ) -> Result<Link, Failure> {
        let path = self.shared.path.clone();
        if self.last.is_none() && FileId::at(&path)?.is_none() {
            file::create(&path).map_err(|error| Failure::of(Fault::File(error)))?;
        }
        let mut link = self.open_file()?;
        self.limit.set(deadline);
        let now = self.shared.record_clock.now();
        *applied = migration::run(&mut link.conn, &self.limit, &*self.shared.entropy, now)?;
        migration::check(&link.conn)?;
        Ok(link)
    }

    fn open_file(&mut self) -> Result<Link, Failure> {
        if let Some(file) = FileId::at(&self.shared.path)? {
            self.sort_logs(file)?;
        }
        Link::open(&self.shared.path, Role::Writer, &self.limit)
    }

    /// Takes the log of another file out of the way of this one, and brings this one's back.
    fn sort_logs(&mut self, file: FileId) -> Result<(), Failure> {
        let path = &self.shared.path;
        if let Some(last) = self.last
            && last.file != file
            && let Some(log) = last.log
            && let Some(aside) = file::set_orphaned_log_aside(path, log)?
        {
            self.logs_aside.push((last.file, aside));
            let surplus = self.logs_aside.len().saturating_sub(LOGS_ASIDE_MAX);
            self.logs_aside.drain(..surplus);
        }
        if let Some(at) = self.logs_aside.iter().position(|(of, _)| *of == file) {
            file::restore_log(path, &self.logs_aside[at].1)?;
            self.logs_aside.remove(at);
        }
        Ok(())
    }

    /// Takes the result of an opening and tells the readers.
    fn settle(&mut self, opened: Result<Link, Failure>) -> Result<(), Failure> {
        self.tried_at = Some(self.shared.clock.boottime());
        self.failure = None;
        let found = opened.and_then(|link| Ok((FileId::at(&self.shared.log_path)?, link)));
        let (log, link) = found.inspect_err(|failure| {
            self.shared.refuse(failure.clone());
            self.failure = Some(failure.clone());
        })?;
        if self.last.is_some_and(|last| last.file != link.file) {
            tracing::warn!(store.name = "sqlite", "another database file is the record now");
        }
        self.last = Some(self.shared.adopt(link.file, log));
        self.link = Some(link);
        Ok(())
    }

    /// Only the log was removed: what it holds is in no other place than our open descriptor. The
    /// index of the log must be empty as well before a new log is begun, or a crash would lose it.
    fn save_log(&self, link: &Link) -> rusqlite::Result<()> {
        self.limit.set_within(RETRY_EVERY);
        Log::empty(link)?;
        tracing::warn!(
            store.name = "sqlite",
            "the write-ahead log was removed under us; what it held is saved"
        );
        Ok(())
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
