//! What befell the record, of either kind.

use nightlatch_core::{Deadline, StoreError};
use nightlatch_store::past::Past;

use super::OpenRecord;

impl OpenRecord {
    /// What befell it.
    ///
    /// # Errors
    /// The record's.
    pub async fn past(&self, deadline: Deadline) -> Result<Past, StoreError> {
        match self {
            Self::Sqlite(record) => record.past(deadline).await,
            Self::Postgres(record) => record.past(deadline).await,
        }
    }

    /// Somebody has dealt with its restore.
    ///
    /// # Errors
    /// The record's.
    pub async fn forget_restore(&self, deadline: Deadline) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(record) => record.forget_restore(deadline).await,
            Self::Postgres(record) => record.forget_restore(deadline).await,
        }
    }
}
