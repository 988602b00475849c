//! The port to the audit log. Entries are written by the ports whose changes they tell of; here they
//! are read.

use super::StoreResult;
use crate::{AuditEntry, AuditQuery, Deadline};

/// The audit log.
pub trait AuditStore: Send + Sync {
    /// Entries that the query names, in the order of their ids: rising where it goes up from one,
    /// falling otherwise.
    fn list_audit(&self, query: AuditQuery, deadline: Deadline)
    -> StoreResult<'_, Vec<AuditEntry>>;
}
