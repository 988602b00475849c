//! Those who look at a record once, thoroughly, and change nothing.

use std::path::Path;
use std::sync::Arc;

use nightlatch_core::SystemClock;
use nightlatch_store::postgres::PostgresOptionsError;
use nightlatch_store::postgres::inspect::PostgresInspector;
use nightlatch_store::sqlite::inspect::SqliteInspector;

use super::postgres_options;
use crate::config::PostgresDatabase;

/// Somebody who looks at a PostgreSQL as the record would use it.
///
/// # Errors
/// [`PostgresOptionsError`] when it cannot even be tried.
pub fn postgres_inspector(
    database: &PostgresDatabase,
) -> Result<PostgresInspector, PostgresOptionsError> {
    PostgresInspector::new(&postgres_options(database))
}

/// Somebody who looks at a SQLite file.
#[must_use]
pub fn sqlite_inspector(path: &Path) -> SqliteInspector {
    SqliteInspector::new(path, Arc::new(SystemClock))
}
