//! Whether a pool stands in between that gives a connection to another client after each transaction.
//!
//! No answer names it, so it is told by what only it does: two clients that are connected at the same
//! time have one server process between them, or one client has two.

use nightlatch_core::FailureClass;

use super::{PostgresInspector, PostgresVisit};

/// What was seen of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Connections change with each transaction.
    Seen,
    /// They stay, as far as can be seen from two of them.
    NotSeen,
}

impl PostgresInspector {
    /// Looks by two connections to the host of this number. `None`: the second was not to be had.
    pub async fn pooling(&self, host: usize) -> Option<Pooling> {
        let (one, other) = (self.visit(host).await.ok()?, self.visit(host).await.ok()?);
        let before = one.process().await.ok()?;
        other.run("BEGIN").await.ok()?;
        let elsewhere = other.process().await.ok()?;
        let after = one.process().await.ok();
        let _ = other.run("ROLLBACK").await;
        let is_seen = before == elsewhere || after.is_some_and(|after| after != before);
        Some(if is_seen { Pooling::Seen } else { Pooling::NotSeen })
    }
}

impl PostgresVisit<'_> {
    /// The process of the server that answers this statement.
    async fn process(&self) -> Result<i32, FailureClass> {
        let pid = self.row("SELECT pg_backend_pid()", &[]).await?.try_get(0);
        pid.map_err(|_| FailureClass::Protocol)
    }
}
