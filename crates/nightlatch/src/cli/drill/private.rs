//! What a private set-up is made of: this program, and what the arguments name.

use anyhow::{Context as _, bail};
use nightlatch_core::Secret;
use nightlatch_drill::proxy::Place;
use nightlatch_drill::scene::{PrivateRequest, RecordRequest, RedisRequest};

use super::super::WrongUsage;
use super::super::args::{DrillArgs, RedisAt};
use super::super::transfer::holds_password;
use super::staging::read_line_of;
use crate::app::postgres_inspector;
use crate::config::{Config, Database, LoadArgs, PostgresDatabase};

/// The schema that is a drill's alone.
const SCHEMA: &str = "nightlatch_drill";

pub(super) async fn request(args: &DrillArgs, load: &LoadArgs) -> anyhow::Result<PrivateRequest> {
    let program = std::env::current_exe().context("finding this program")?;
    let args = &args.private;
    let redis = match &args.redis_url {
        Some(RedisAt { place, user, database }) => {
            let password = args.redis_password_file.as_deref().map(read_line_of).transpose()?;
            let (place, user, database) = (place.clone(), user.clone(), *database);
            RedisRequest::Given { place, user, password, database }
        }
        None if args.no_redis => RedisRequest::None,
        None => RedisRequest::IfInstalled,
    };
    let record = match &args.database_url {
        Some(url) => given(url, load).await?,
        None => RecordRequest::File,
    };
    Ok(PrivateRequest { program, record, redis })
}

/// A database that holds no record but one of a drill.
async fn given(url: &str, load: &LoadArgs) -> anyhow::Result<RecordRequest> {
    if holds_password(url) {
        bail!(WrongUsage(
            "the URL holds a password, which others can read in the list of processes: leave it \
             out, and set DATABASE_PASSWORD or DATABASE_PASSWORD_FILE"
                .to_owned()
        ));
    }
    let load = LoadArgs { database_url: Some(url.to_owned()), ..load.clone() };
    let loaded = Config::load(&load).map_err(anyhow::Error::new)?;
    let Database::Postgres(database) = loaded.config.database else {
        bail!(WrongUsage("--database-url leads to no PostgreSQL".to_owned()))
    };
    let place = place_of(&database)?;
    refuse_record(&database).await?;
    let (before, after) = around_host(database.url.expose())
        .ok_or_else(|| WrongUsage("--database-url names no host".to_owned()))?;
    let (before, after) = (Secret::new(before.to_owned()), after.to_owned());
    let password = database.password;
    Ok(RecordRequest::Postgres { place, before, after, password, schema: SCHEMA.to_owned() })
}

/// The one server of the database; a drill stands before one.
fn place_of(database: &PostgresDatabase) -> anyhow::Result<Place> {
    let hosts = postgres_inspector(database)?.hosts();
    match &*hosts {
        [host] if !host.is_socket => {
            let name = host.address.map(|address| address.to_string());
            Ok(Place { host: name.unwrap_or_else(|| host.name.clone()), port: host.port })
        }
        _ => bail!(WrongUsage("--database-url names one server, by its host".to_owned())),
    }
}

/// People's sessions are no throw-away.
async fn refuse_record(database: &PostgresDatabase) -> anyhow::Result<()> {
    let inspector = postgres_inspector(database)?;
    let visit = inspector.visit(0).await;
    let visit =
        visit.map_err(|refusal| anyhow::anyhow!("the database refuses: {}", refusal.class))?;
    let schema = visit.examine_schema().await;
    let schema = schema.map_err(|class| anyhow::anyhow!("the database does not say: {class}"))?;
    if schema.is_begun {
        bail!(WrongUsage(format!(
            "the database holds a record, in the schema {}: a drill takes an empty one",
            schema.name
        )));
    }
    Ok(())
}

/// What stands before the host of a URL, and behind its port.
fn around_host(url: &str) -> Option<(&str, &str)> {
    let authority = url.find("://")? + 3;
    let end = url[authority..].find(['/', '?']).map_or(url.len(), |at| authority + at);
    let host = url[authority..end].rfind('@').map_or(authority, |at| authority + at + 1);
    Some((&url[..host], &url[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_wherever_it_stands() {
        for (url, around) in [
            ("postgres://db/x", Some(("postgres://", "/x"))),
            ("postgres://u:p%40@db:5432/x?a=b", Some(("postgres://u:p%40@", "/x?a=b"))),
            ("postgres://u@[::1]:1", Some(("postgres://u@", ""))),
            ("postgres://db?sslmode=require", Some(("postgres://", "?sslmode=require"))),
            ("db", None),
        ] {
            assert_eq!(around_host(url), around, "{url}");
        }
    }
}
