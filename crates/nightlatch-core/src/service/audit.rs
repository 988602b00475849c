//! The audit log, as operators read it.

use super::Service;
use crate::{AuditEntry, AuditQuery, Deadline, StoreError};

impl Service {
    /// Entries of the audit log, in the order that the query asks for.
    ///
    /// # Errors
    /// The record's.
    pub async fn list_audit(
        &self,
        query: AuditQuery,
        deadline: Deadline,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.ports.record.list_audit(query, deadline).await
    }
}
