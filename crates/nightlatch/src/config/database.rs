//! Where the record is.

use std::path::PathBuf;

use nightlatch_core::Secret;

/// The database that holds the record.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file of this machine.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres(PostgresDatabase),
}

/// How to reach PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresDatabase {
    /// `DATABASE_URL` as it was given, `sslmode` (a misspelt one as `verify-full`) and
    /// `sslrootcert` included, without the parameter `pgbouncer`.
    pub url: Secret<String>,
    /// `DATABASE_PASSWORD`, where the URL holds none.
    pub password: Option<Secret<String>>,
    /// The schema that holds our tables: a plain lower-case identifier.
    pub schema: String,
    /// Whether a PgBouncer in transaction mode stands in between.
    pub pgbouncer: bool,
}
