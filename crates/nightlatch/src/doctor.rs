//! Doctor: what is wrong, why, and the line that puts it right.
//!
//! What it reads it reads with the server's own parsers, so that both are of one opinion. A finding never
//! holds a secret: neither what is wrong about one nor what to write instead.

mod auth_service;
mod beside;
mod compose;
mod configured;
mod database;
pub mod diagnosis;
mod env;
mod file_text;
pub mod finding;
mod machine;
mod near;
mod ours;
mod redis;
mod redis_settings;
mod redis_text;
mod redis_urls;
mod repair;
mod secrets;
mod session;
mod shown;
mod sources;
mod spread;
mod start;
mod written;

pub use auth_service::{examine_auth_service, is_auth_service_ours};
pub use database::{examine_database, is_database_ours};
pub use env::examine_env_file;
pub use machine::{CONTAINER_LOCALHOST, Machine};
pub use redis::examine_redis;
pub use repair::{Repaired, RepairedLine, repair};
pub use session::{Canary, Parts, examine_server, examine_session};
pub use sources::Sources;
pub use start::examine_at_start;
