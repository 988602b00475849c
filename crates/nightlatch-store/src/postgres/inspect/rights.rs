//! Whether the schema is there and ours, and what the role may do in it: read from the catalogue, so
//! that nothing is tried.

use nightlatch_core::FailureClass;
use tokio_postgres::types::Type;

use super::super::call::Param;
use super::super::migrate::{self, Compared};
use super::PostgresVisit;

/// The schema that holds our tables, and what we may do with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a right, or a thing that is there")]
pub struct PostgresSchema {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub is_there: bool,
    /// Whether it holds tables of ours.
    pub is_begun: bool,
    /// Whether the role may make schemas in this database.
    pub may_make_schemas: bool,
    /// Whether the role may use what is in it.
    pub may_use: bool,
    /// Whether the role may make tables in it.
    pub may_make_tables: bool,
    /// Whether the role may change the form of our tables, as their owner.
    pub owns_tables: bool,
    /// The migrations that are not applied yet. Not known where the ledger may not be read.
    pub missing: Vec<&'static str>,
    /// A migration that was applied with another text than ours.
    pub changed: Option<&'static str>,
    /// The latest migration that this release does not know.
    pub newer: Option<i64>,
    /// What is missing of what requests need.
    pub lacks: Vec<TableLack>,
}

/// A right that the role lacks on a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableLack {
    /// Without its schema.
    pub table: String,
    /// `SELECT` and the like.
    pub rights: Vec<&'static str>,
}

/// What statements do with each table. Locking a row takes the right to change it.
const NEEDS: [(&str, &[&str]); 14] = [
    ("schema_migrations", &["SELECT"]),
    ("feed_head", &["SELECT", "UPDATE"]),
    ("feed", &["SELECT", "INSERT", "DELETE"]),
    ("users", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("sessions", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("known_prefixes", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("throttle_failures", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("shared_secrets", &["SELECT", "INSERT"]),
    ("nodes", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("service_clock", &["SELECT", "UPDATE"]),
    ("throttle_head", &["SELECT", "UPDATE"]),
    ("signing_keys", &["SELECT", "INSERT", "UPDATE"]),
    ("audit_log", &["SELECT", "INSERT", "DELETE"]),
    ("application_sessions", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
];

const SCHEMA: &str = "
    SELECT has_database_privilege(current_database(), 'CREATE') AS may_make_schemas,
        n.oid IS NOT NULL AS is_there,
        coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AS may_use,
        coalesce(has_schema_privilege(n.oid, 'CREATE'), false) AS may_make_tables
    FROM (SELECT) AS nothing LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1";

const TABLES: &str = "
    SELECT c.relname::text AS name,
        pg_has_role(c.relowner, 'USAGE') AS is_owned,
        has_table_privilege(c.oid, 'SELECT') AS \"SELECT\",
        has_table_privilege(c.oid, 'INSERT') AS \"INSERT\",
        has_table_privilege(c.oid, 'UPDATE') AS \"UPDATE\",
        has_table_privilege(c.oid, 'DELETE') AS \"DELETE\"
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')";

const LEDGER: &str = "SELECT version, checksum FROM nightlatch.schema_migrations";

impl PostgresVisit<'_> {
    /// What there is of our schema, and what the role may do.
    ///
    /// # Errors
    /// The class of the failure.
    pub async fn examine_schema(&self) -> Result<PostgresSchema, FailureClass> {
        let named: &[Param<'_>] = &[(&self.schema().name(), Type::TEXT)];
        let row = self.row(SCHEMA, named).await?;
        let is = |name| row.try_get::<_, bool>(name).map_err(|_| FailureClass::Protocol);
        let mut schema = PostgresSchema {
            name: self.schema().name().to_owned(),
            is_there: is("is_there")?,
            may_make_schemas: is("may_make_schemas")?,
            may_use: is("may_use")?,
            may_make_tables: is("may_make_tables")?,
            owns_tables: true,
            ..PostgresSchema::default()
        };
        self.examine_tables(&mut schema, named).await?;
        let is_readable =
            schema.may_use && schema.lacks.iter().all(|lack| lack.table != NEEDS[0].0);
        if !schema.is_begun {
            schema.missing = names(&migrate::compare(&[]));
        } else if is_readable {
            let compared = migrate::compare(&self.ledger().await?);
            schema.missing = names(&compared);
            (schema.changed, schema.newer) = (compared.changed, compared.newer);
        }
        Ok(schema)
    }

    async fn examine_tables(
        &self,
        schema: &mut PostgresSchema,
        named: &[Param<'_>],
    ) -> Result<(), FailureClass> {
        for row in self.rows(TABLES, named).await? {
            let is = |name| row.try_get::<_, bool>(name).map_err(|_| FailureClass::Protocol);
            let name: String = row.try_get("name").map_err(|_| FailureClass::Protocol)?;
            let Some((_, needs)) = NEEDS.iter().find(|(ours, _)| *ours == name) else { continue };
            schema.is_begun |= name == NEEDS[0].0;
            schema.owns_tables &= is("is_owned")?;
            let mut rights = Vec::new();
            for right in *needs {
                if !is(right)? {
                    rights.push(*right);
                }
            }
            if !rights.is_empty() {
                schema.lacks.push(TableLack { table: name, rights });
            }
        }
        schema.lacks.sort_by(|one, other| one.table.cmp(&other.table));
        Ok(())
    }

    /// Versions and checksums of what was applied.
    async fn ledger(&self) -> Result<Vec<(i64, Vec<u8>)>, FailureClass> {
        let rows = self.rows(&self.schema().apply(LEDGER), &[]).await?;
        let read = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?));
        let read: Result<Vec<_>, tokio_postgres::Error> = rows.iter().map(read).collect();
        read.map_err(|_| FailureClass::Schema)
    }
}

fn names(compared: &Compared) -> Vec<&'static str> {
    compared.missing.iter().map(|migration| migration.name).collect()
}
