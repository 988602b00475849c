//! The schema of a record and the rights in it, judged, with the statements that give what is missing.

use std::collections::BTreeMap;

use nightlatch_store::postgres::inspect::PostgresSchema;

use super::super::finding::Finding;
use crate::config::ProblemLevel::{Error, Info, Warn};

/// How it compares with the schema of this release, of any record.
pub(super) fn of_schema(
    missing: &[&str],
    changed_step: Option<&'static str>,
    newer: Option<i64>,
) -> Vec<Finding> {
    let old = (!missing.is_empty()).then(|| {
        let why = format!("is migrated at the next start: {}", missing.join(", "));
        Finding::new("database-schema-old", Info, why)
    });
    let newer = newer.map(|version| {
        let why = format!(
            "holds step {version} of the schema, which a later release than {} has made. This one \
             goes on working, as steps only add; go back to the later one when you can",
            env!("CARGO_PKG_VERSION")
        );
        Finding::new("database-schema-newer", Warn, why)
    });
    [changed_step.map(changed), old, newer].into_iter().flatten().collect()
}

/// A step that is not ours under the name of one.
pub(super) fn changed(name: &str) -> Finding {
    let why = format!(
        "holds step {name} of the schema with another text than ours: it was made by another \
         program, or by a build that was never released, and nothing starts on it"
    );
    Finding::new("database-schema-changed", Error, why)
}

/// What a role may do in PostgreSQL.
pub(super) fn judge(schema: &PostgresSchema, database: &str, role: &str) -> Vec<Finding> {
    let name = identifier(&schema.name);
    let (role, database) = (identifier(role), identifier(database));
    let mut findings = Vec::new();
    if schema.is_begun && !schema.may_use {
        let why = format!("leads to a schema {name} that the role {role} may not use");
        let finding = Finding::new("database-forbidden", Error, why);
        return vec![finding.run(format!("GRANT USAGE ON SCHEMA {name} TO {role};"))];
    }
    if !schema.lacks.is_empty() {
        findings.push(lacking(schema, &name, &role));
    }
    let may_migrate = match (schema.is_begun, schema.is_there) {
        (false, false) => schema.may_make_schemas,
        (false, true) => schema.may_use && schema.may_make_tables,
        (true, _) => schema.owns_tables && schema.may_make_tables,
    };
    if schema.missing.is_empty() || may_migrate {
        let PostgresSchema { missing, changed, newer, .. } = schema;
        findings.extend(of_schema(missing, *changed, *newer));
        return findings;
    }
    let missing = schema.missing.join(", ");
    let why = format!(
        "cannot be migrated by the role {role}, which may not make or change tables there ({missing}); \
         give it the right, or run `nightlatch migrate` as a role that has it"
    );
    let finding = Finding::new("database-migration-forbidden", Error, why);
    findings.push(match (schema.is_begun, schema.is_there) {
        (_, false) => finding.run(format!("GRANT CREATE ON DATABASE {database} TO {role};")),
        (true, true) if !schema.owns_tables => finding.run("nightlatch migrate"),
        (_, true) => finding.run(format!("GRANT USAGE, CREATE ON SCHEMA {name} TO {role};")),
    });
    findings
}

fn lacking(schema: &PostgresSchema, name: &str, role: &str) -> Finding {
    let mut by_rights = BTreeMap::<String, Vec<String>>::new();
    for lack in &schema.lacks {
        let table = format!("{name}.{}", identifier(&lack.table));
        by_rights.entry(lack.rights.join(", ")).or_default().push(table);
    }
    let grants: Vec<String> = by_rights
        .iter()
        .map(|(rights, tables)| format!("GRANT {rights} ON {} TO {role};", tables.join(", ")))
        .collect();
    let tables: Vec<&str> = schema.lacks.iter().map(|lack| lack.table.as_str()).collect();
    let why = format!("logs in as {role}, who lacks rights on {}", tables.join(", "));
    Finding::new("database-forbidden", Error, why).run(grants.join(" "))
}

/// As SQL takes it.
pub(super) fn identifier(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if is_plain && begins_well {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}
