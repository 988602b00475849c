//! Where the record is.
//!
//! A mistyped database URL that fell back to a default would start an empty record and tell every
//! user that they do not exist. So its syntax is checked here and is fatal; whether the database
//! answers is no matter of configuration.

use std::path::{Path, PathBuf};

use nightlatch_core::Secret;

use super::postgres_url::{self, PostgresUrl};
use super::reader::Reader;
use super::value::Wrong;

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
    /// `DATABASE_URL` in words that the store understands: a misspelt `sslmode` as `verify-full`,
    /// `pgbouncer=true` where it is on, without parameters that mean nothing.
    pub url: Secret<String>,
    /// `DATABASE_PASSWORD`, where the URL holds none.
    pub password: Option<Secret<String>>,
    /// The schema that holds our tables: a plain lower-case identifier.
    pub schema: String,
    /// Whether a PgBouncer in transaction mode stands in between.
    pub pgbouncer: bool,
}

impl Database {
    pub(super) fn read(reader: &mut Reader) -> Self {
        match reader.optional("DATABASE_URL", |text, _| Parsed::from_url(text)) {
            Some(Parsed::Postgres(url)) => Self::Postgres(PostgresDatabase::read(reader, url)),
            Some(Parsed::Sqlite(path)) => {
                reader.amend(URL, format!("sqlite://{}", path.display()));
                for name in ["DATABASE_PASSWORD", "DATABASE_SCHEMA"] {
                    if reader.is_set(name) {
                        reader.remark(name, Wrong::new("is not used with SQLite"));
                    }
                }
                Self::Sqlite { path }
            }
            None => unreachable!("DATABASE_URL has a default in the table"),
        }
    }
}

const URL: &str = "DATABASE_URL";

impl PostgresDatabase {
    fn read(reader: &mut Reader, url: PostgresUrl) -> Self {
        const PASSWORD: &str = "DATABASE_PASSWORD";
        reader.amend(URL, url.shown.clone());
        for remark in url.remarks {
            reader.remark(URL, remark);
        }
        if let Some(file) = url.root_certificate.filter(|file| !Path::new(file).is_file()) {
            let why = format!("sslrootcert names the file {file}, which is not there");
            reader.fatal(URL, Wrong::new(why).better("postgres://..?sslrootcert=/path/to/ca.pem"));
        }
        let password = reader.optional(PASSWORD, |text, _| Ok(Secret::new(text.to_owned())));
        let disagrees =
            |p: &Secret<String>| Some(p.expose()) != url.password.as_ref().map(Secret::expose);
        if url.password.is_some() && password.as_ref().is_some_and(disagrees) {
            let why = "disagrees with the password in DATABASE_URL, which is used";
            reader.remark(PASSWORD, Wrong::new(why));
        }
        Self {
            url: url.url,
            password: password.filter(|_| url.password.is_none()),
            schema: reader.required("DATABASE_SCHEMA", |text, _| schema(text)),
            pgbouncer: url.pgbouncer,
        }
    }
}

enum Parsed {
    Sqlite(PathBuf),
    Postgres(PostgresUrl),
}

impl Parsed {
    fn from_url(text: &str) -> Result<Self, Wrong> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(Wrong::new("is no URL: it begins with neither sqlite:// nor postgres://")
                .better("sqlite://nightlatch.db"));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => sqlite_path(rest).map(Self::Sqlite),
            "postgres" | "postgresql" => postgres_url::parse(text).map(Self::Postgres),
            other if is_of_postgres(other) => {
                Err(Wrong::new("begins with the name of a driver, too: write postgres://")
                    .id("database-url-scheme")
                    .better("postgres://USER:PASSWORD@HOST:5432/NAME"))
            }
            _ => Err(Wrong::new("begins with neither sqlite:// nor postgres://")
                .better("sqlite://nightlatch.db")),
        }
    }
}

/// Whether a scheme is one by which a library or framework tells its drivers for PostgreSQL apart, as
/// `postgresql+psycopg` and `jdbc:postgresql`.
pub(crate) fn is_of_postgres(scheme: &str) -> bool {
    const NAMES: [&str; 6] = ["postgres", "postgresql", "postgis", "pgsql", "psql", "ecto"];
    let scheme = scheme.to_ascii_lowercase();
    let scheme = scheme.strip_prefix("jdbc:").unwrap_or(&scheme);
    scheme == "jdbc" || NAMES.contains(&scheme.split('+').next().unwrap_or_default())
}

/// `sqlite://FILE`; a third slash makes it absolute.
fn sqlite_path(rest: &str) -> Result<PathBuf, Wrong> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.contains('?') {
        let path = path.split('?').next().unwrap_or_default();
        return Err(Wrong::new("holds parameters, which SQLite's takes none of")
            .better(format!("sqlite://{path}")));
    }
    let wrong = |why: &str| Err(Wrong::new(why).better("sqlite://nightlatch.db"));
    if path.contains(":memory:") {
        return wrong("keeps nothing: users would be gone with the next start");
    }
    if path.is_empty() || path.ends_with('/') {
        return wrong("names no file");
    }
    if path.contains('\0') {
        return wrong("names no possible file");
    }
    Ok(PathBuf::from(path))
}

fn schema(text: &str) -> Result<String, Wrong> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let is_ours = !text.starts_with("pg_") && text != "information_schema";
    // PostgreSQL cuts names at 63 bytes, and would then not find them by their full name.
    if begins_well && is_ours && text.len() <= 63 && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("is no lower-case identifier that PostgreSQL leaves to us"))
}
