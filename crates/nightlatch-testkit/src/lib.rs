//! Real servers for tests: started on free ports of 127.0.0.1, stopped by pid.

pub mod auth_service;
pub mod authority;
pub mod browser;
pub mod chance;
pub mod chaos_proxy;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod collector;
pub mod curl;
pub mod disk;
pub mod echo;
pub mod full_listener;
pub mod gateway;
pub mod installed;
pub mod listener;
pub mod load;
pub mod nginx;
pub mod pgbouncer;
pub mod postgres;
pub mod process;
pub mod redis;
mod request;
pub mod resolver;
pub mod sentinel;
pub mod server;
pub mod shipped;
pub mod socket;
pub mod sqlite;
pub mod strace;
mod told;
pub mod wait;
pub mod yaml;

/// The judge of what clients were told.
pub use nightlatch_drill::history;

/// The types of requests and answers.
pub use hyper;
