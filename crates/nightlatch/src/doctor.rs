//! Doctor: what is wrong, why, and the line that puts it right.
//!
//! What it reads it reads with the server's own parsers, so that both are of one opinion. A finding never
//! holds a secret: neither what is wrong about one nor what to write instead.

mod beside;
pub mod diagnosis;
mod env;
mod file_text;
pub mod finding;
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
mod written;

pub use env::examine_env_file;
pub use redis::examine_redis;
pub use repair::{Repaired, repair};
pub use session::{Canary, examine_server, examine_session};
pub use sources::Sources;
