//! Sessions as many Rust applications have them: axum, tower-sessions and its Redis store, as their
//! manuals show it.
//!
//! Two routes with the names of Nightlatch's, so that the same load can be put on both.

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike as _, Config, Pool};

/// As many connections as the manual's example has.
const CONNECTIONS: usize = 6;

const USER: &str = "user";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: beside-tower-sessions REDIS_URL")?;
    let redis = Pool::new(Config::from_url(&url)?, None, None, None, CONNECTIONS)?;
    let _connecting = redis.connect();
    redis.wait_for_connect().await?;
    let sessions = SessionManagerLayer::new(RedisStore::new(redis))
        .with_expiry(Expiry::OnInactivity(time::Duration::days(1)));
    let routes = Router::new()
        .route("/api/v1/auth/login", post(log_in))
        .route("/api/v1/session", get(check))
        .layer(sessions);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    // As Nightlatch says it.
    eprintln!("server.listening http://{}/", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn log_in(session: Session) -> StatusCode {
    match session.insert(USER, "walker").await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn check(session: Session) -> Result<Json<String>, StatusCode> {
    match session.get(USER).await {
        Ok(Some(user)) => Ok(Json(user)),
        Ok(None) => Err(StatusCode::UNAUTHORIZED),
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
