//! The Nightlatch server: everything that joins the rules to the world.

pub mod cli;
pub mod config;
pub mod hashing;
pub mod health;
pub mod http;
pub mod import;
pub mod strength;
pub mod telemetry;
