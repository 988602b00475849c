//! An axum application whose sessions are kept by Nightlatch: a counter, a login, a logout.
//!
//! Two of these over one PostgreSQL are one application: what one node ends the other refuses within two
//! seconds, with Redis, without it, and while it fails.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use nightlatch_core::{MasterKeys, Record, Secret, SystemClock, SystemEntropy};
use nightlatch_store::postgres::{PostgresOptions, PostgresRecord};
use nightlatch_store::redis::{RedisAddress, RedisOptions};
use nightlatch_store::sqlite::SqliteRecord;
use nightlatch_store::tower_sessions::{NewsOverRedis, NightlatchStore, UnavailableLayer};
use tokio::net::TcpListener;
use tower_sessions::{Session, SessionManagerLayer, session};

const USAGE: &str = "usage: axum LISTEN DATABASE [REDIS_HOST:PORT SECRET]";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program, not a library")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, database, redis @ ..] = arguments.as_slice() else { return Err(USAGE.into()) };
    let store = open(database, redis)?;
    // The record may be away when this starts: requests are answered 503 until it is there.
    if let Err(error) = store.migrate().await {
        println!("not yet: {error}");
    }
    // Nothing here speaks TLS; behind a proxy that does, leave `with_secure` as it is.
    let sessions = SessionManagerLayer::new(store).with_secure(false);
    let application = Router::new()
        .route("/", get(count))
        .route("/login/{name}", post(login))
        .route("/logout", post(logout))
        .layer(sessions)
        .layer(UnavailableLayer);
    let listener = TcpListener::bind(listen.parse::<SocketAddr>()?).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, application).await?)
}

fn open(database: &str, redis: &[String]) -> Result<NightlatchStore, Box<dyn Error>> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let record: Arc<dyn Record> = if database.starts_with("postgres") {
        let options = PostgresOptions::new(Secret::new(database.to_owned()));
        Arc::new(PostgresRecord::open(&options, clock.clone(), entropy.clone())?)
    } else {
        Arc::new(SqliteRecord::open(database.as_ref(), clock.clone(), entropy.clone())?)
    };
    let [redis, secret] = redis else {
        return Ok(NightlatchStore::start(record, clock, entropy));
    };
    let (host, port) = redis.split_once(':').ok_or(USAGE)?;
    let options = RedisOptions {
        address: RedisAddress::Tcp { host: host.to_owned(), port: port.parse()? },
        username: None,
        password: None,
        sentinel_password: None,
        database: 0,
        tls: None,
        deadline: Duration::from_millis(20),
        key_prefix: "application:".to_owned(),
    };
    let keys = MasterKeys::try_new(vec![Secret::new(secret.clone().into_bytes())])?;
    let news = NewsOverRedis::new(options, &keys, clock.clone(), entropy.clone())?;
    Ok(NightlatchStore::start_with_news(record, clock, entropy, news))
}

/// tower-sessions' error is the record's: `UnavailableLayer` makes 503 of this 500.
fn failed(_: session::Error) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn count(session: Session) -> Result<String, StatusCode> {
    let visits = session.get::<u64>("visits").await.map_err(failed)?.unwrap_or(0) + 1;
    session.insert("visits", visits).await.map_err(failed)?;
    let name = session.get::<String>("name").await.map_err(failed)?;
    Ok(format!("{}: visit {visits}\n", name.as_deref().unwrap_or("nobody")))
}

/// Whoever logs in gets a new id: one that somebody planted before is worth nothing then.
async fn login(session: Session, Path(name): Path<String>) -> Result<String, StatusCode> {
    session.cycle_id().await.map_err(failed)?;
    session.insert("name", &name).await.map_err(failed)?;
    Ok(format!("welcome, {name}\n"))
}

async fn logout(session: Session) -> Result<&'static str, StatusCode> {
    session.flush().await.map_err(failed)?;
    Ok("good-bye\n")
}
