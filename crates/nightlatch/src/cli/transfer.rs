//! `nightlatch migrate --to URL`: everything from an SQLite file into an empty PostgreSQL.
//!
//! Who grows from one machine to several must not have to log everybody out. The file stays as it was,
//! and says from then on that it was left.

use std::fs;
use std::time::Duration;

use anyhow::{Context, bail};

use super::advice::Advisor;
use super::console::Console;
use super::{FINE, WrongUsage, block_on};
use crate::app::Base;
use crate::config::{Config, Database, LoadArgs, Loaded, key_file, secrets};

/// How long all of it may take: some ten million rows.
const TRANSFER_DEADLINE: Duration = Duration::from_hours(1);

/// How long either schema may take.
const MIGRATE_DEADLINE: Duration = Duration::from_mins(10);

/// Runs the command. `url` leads to the target; what goes with it (password, schema) is configured.
pub(super) fn run(
    (url, load): (String, &LoadArgs),
    source: &Loaded,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    if holds_password(&url) {
        bail!(WrongUsage(
            "the URL holds a password, which others can read in the list of processes: leave it \
             out, and set DATABASE_PASSWORD or DATABASE_PASSWORD_FILE"
                .to_owned()
        ));
    }
    let target = LoadArgs { database_url: Some(url), ..load.clone() };
    let target = Config::load(&target).map_err(anyhow::Error::new)?;
    let Database::Sqlite { path } = &source.config.database else {
        bail!(WrongUsage(
            "DATABASE_URL is no SQLite file: PostgreSQL moves by `pg_dump`".to_owned()
        ))
    };
    let Database::Postgres(_) = &target.config.database else {
        bail!(WrongUsage("--to leads to no PostgreSQL: a file is copied by `backup`".to_owned()))
    };
    let keys = match &source.config.secrets.session {
        Some(_) => None,
        None => Some(key_file::beside(path)).filter(|path| path.exists()),
    };
    let secret = keys.as_ref().map(fs::read).transpose().context("reading the generated secret")?;
    let secret = secret.map(|text| (secrets::SHARED_SECRET_NAME, text.trim_ascii().to_vec()));

    let (from, to) = (Base::open(&source.config)?, Base::open(&target.config)?);
    let of_source = Advisor::new(&source.report);
    let of_target = Advisor::new(&target.report);
    let transferred = block_on(async {
        let migrate = async |base: &Base, advisor: &Advisor| {
            let migrated = base.record.port().migrate(base.within(MIGRATE_DEADLINE)).await;
            migrated.map_err(|error| advisor.explain_repeated(error.into()))
        };
        if !path.exists() {
            bail!("there is no file {}: nothing is to be moved", path.display());
        }
        migrate(&from, &of_source).await?;
        migrate(&to, &of_target).await?;
        let deadline = from.within(TRANSFER_DEADLINE);
        from.transfer(&to, secret, deadline).await.context("nothing was moved")
    })?;

    for (table, rows) in &transferred.rows {
        writeln!(console.out, "moved {rows} rows of {table}")?;
    }
    if !transferred.is_noted {
        console.talk(format_args!(
            "{} could not note that it was left: keep servers from starting on it",
            path.display()
        ));
    }
    if let Some(keys) = keys {
        console.talk(format_args!(
            "in production name the secret from now on: SESSION_SECRET_KEY_FILE={}",
            keys.display()
        ));
    }
    console.talk(format_args!("now set DATABASE_URL to it, and start the servers"));
    Ok(FINE)
}

/// Whether a URL holds a password, in any of the places where one can be.
pub(super) fn holds_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let in_user_info = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    in_user_info || rest.contains("password=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_url_is_seen_wherever_it_is() {
        for url in ["postgres://u:p@db/x", "postgres://u:@db", "postgres://db/x?password=p"] {
            assert!(holds_password(url), "{url}");
        }
        for url in ["postgres://u@db:5432/x", "postgres://db:5432", "postgres://u@db/x?sslmode=x"] {
            assert!(!holds_password(url), "{url}");
        }
    }
}
