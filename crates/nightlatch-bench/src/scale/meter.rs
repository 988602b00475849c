//! What something costs: of the server's core, of the record's, and in bytes of its log.

use std::ops::AddAssign;
use std::time::Duration;

use super::record::{Done, Record};
use crate::ran::Ran;
use crate::server::Server;

/// Reads what servers and their record have done.
#[derive(Clone, Copy)]
pub(crate) struct Meter<'m> {
    pub(crate) servers: &'m [Server],
    pub(crate) record: &'m Record,
}

/// What has been done at a moment, or between two.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) servers: Ran,
    pub(crate) record: Done,
}

/// What each of many took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Of the servers' core, without hashing.
    pub(crate) server: Duration,
    pub(crate) hashing: Duration,
    /// Of the core that the record has, if it is a process of its own.
    pub(crate) record: Duration,
    /// Bytes of the record's log.
    pub(crate) log: f64,
}

impl Meter<'_> {
    pub(crate) fn read(self) -> anyhow::Result<Reading> {
        let mut servers = Ran::default();
        for server in self.servers {
            servers += server.process.ran()?;
        }
        Ok(Reading { servers, record: self.record.done()? })
    }

    /// What has been done since then.
    pub(crate) fn since(self, before: Reading) -> anyhow::Result<Reading> {
        let now = self.read()?;
        let record = Done {
            ran: now.record.ran - before.record.ran,
            transactions: now.record.transactions.saturating_sub(before.record.transactions),
            log: now.record.log.saturating_sub(before.record.log),
        };
        Ok(Reading { servers: now.servers - before.servers, record })
    }
}

impl AddAssign for Reading {
    fn add_assign(&mut self, more: Self) {
        self.servers += more.servers;
        self.record.ran += more.record.ran;
        self.record.transactions += more.record.transactions;
        self.record.log += more.record.log;
    }
}

impl Reading {
    /// Divided by how many there were.
    pub(crate) fn each(self, count: usize) -> Cost {
        let of = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        Cost {
            server: self.servers.other / of,
            hashing: self.servers.hashing / of,
            record: self.record.ran.all() / of,
            log: float(self.record.log) / f64::from(of),
        }
    }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "bytes and rows of a benchmark are far below 2^52")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}
