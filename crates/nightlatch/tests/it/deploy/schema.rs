//! A record as an earlier release left it.

use std::fmt::Write as _;
use std::fs;

use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::shipped::repository;

/// The steps of the schema, in order: name and text.
pub(crate) fn migrations() -> Vec<(String, String)> {
    let folder = repository().join("crates/nightlatch-store/migrations/postgres");
    let entries = fs::read_dir(folder).expect("they are there").flatten();
    let mut steps: Vec<_> = entries
        .map(|entry| {
            let path = entry.path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("it can be read"))
        })
        .collect();
    steps.sort();
    steps
}

/// The latest step.
pub(crate) fn latest() -> String {
    migrations().pop().expect("there are some").0
}

/// Makes the schema as it was before the step `next`, owned by `role`.
pub(crate) fn make_before(next: &str, postgres: &PostgresServer, database: &str, role: &str) {
    let ledger = "CREATE TABLE nightlatch.schema_migrations (
        version bigint PRIMARY KEY, name text NOT NULL, checksum bytea NOT NULL, applied_at bigint NOT NULL)";
    let mut sql = format!("SET ROLE {role}; CREATE SCHEMA nightlatch; {ledger};\n");
    let steps = migrations();
    let earlier = steps.iter().take_while(|(name, _)| name != next);
    for (number, (name, text)) in (1..).zip(earlier) {
        sql.push_str(text);
        write!(
            sql,
            ";\nINSERT INTO nightlatch.schema_migrations VALUES ({number}, '{name}',
                 sha256(convert_to($text${text}$text$, 'UTF8')), 0);\n"
        )
        .expect("a string takes text");
    }
    postgres.sql(database, &sql);
}

/// Puts the rows of schema `from` into that of [`make_before`], as far as it has room for them.
pub(crate) fn fill(postgres: &PostgresServer, database: &str, from: &str) {
    postgres.sql(
        database,
        &format!(
            "DO $$ DECLARE t text; columns text; BEGIN
                 FOR t IN SELECT table_name FROM information_schema.tables
                     WHERE table_schema = 'nightlatch'
                     AND table_name NOT IN
                         ('schema_migrations', 'nodes', 'throttle_failures', 'audit_log')
                 LOOP
                     SELECT string_agg(quote_ident(column_name), ', ') INTO columns
                     FROM information_schema.columns
                     WHERE table_schema = 'nightlatch' AND table_name = t;
                     EXECUTE format('DELETE FROM nightlatch.%I', t);
                     EXECUTE format('INSERT INTO nightlatch.%1$I (%2$s) SELECT %2$s FROM {from}.%1$I',
                         t, columns);
                 END LOOP;
             END $$"
        ),
    );
}
