//! The schema that holds the tables, so that a database can be shared.
//!
//! Statements are written out for the default schema, as somebody would type them into `psql`;
//! another name is put in its place. The search path would do the same with less text, but behind
//! a transaction pool it belongs to whoever used the connection before.

use std::borrow::Cow;

use super::options::PostgresOptionsError;

/// A schema name that needs no escaping.
pub(super) struct Schema {
    /// `"name".`, or `None` for the default.
    replacement: Option<String>,
    name: String,
}

impl Schema {
    pub(super) const DEFAULT: &'static str = "nightlatch";

    pub(super) fn try_new(name: &str) -> Result<Self, PostgresOptionsError> {
        let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let begins_well = name.starts_with(|c: char| !c.is_ascii_digit());
        if !plain || !begins_well || name.len() > 63 || name.starts_with("pg_") {
            return Err(PostgresOptionsError::Schema);
        }
        let replacement = (name != Self::DEFAULT).then(|| format!("\"{name}\"."));
        Ok(Self { replacement, name: name.to_owned() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A statement for this schema.
    pub(super) fn apply<'a>(&self, sql: &'a str) -> Cow<'a, str> {
        match &self.replacement {
            None => Cow::Borrowed(sql),
            Some(replacement) => Cow::Owned(sql.replace("nightlatch.", replacement)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_need_escaping_are_refused() {
        for bad in ["", "A", "a b", "a\"b", "1a", "pg_a", "a.b", "ä", &"a".repeat(64)] {
            assert!(Schema::try_new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn another_schema_is_put_into_statements() {
        let sql = "SELECT 1 FROM nightlatch.users u JOIN nightlatch.sessions s";
        let schema = Schema::try_new("auth_2").expect("a plain name");
        assert_eq!(
            schema.apply(sql),
            "SELECT 1 FROM \"auth_2\".users u JOIN \"auth_2\".sessions s"
        );
        assert_eq!(Schema::try_new("nightlatch").expect("a plain name").apply(sql), sql);
    }
}
