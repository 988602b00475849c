//! The records of Nightlatch behind the ports of `nightlatch-core`.
//!
//! The record is the truth: SQLite for one machine, PostgreSQL for several, and an in-memory
//! reference for tests and simulation. All three pass one contract suite.

pub mod cached;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub mod certificate;
#[cfg(feature = "test-util")]
pub mod contract;
pub mod intercepted;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod lookups;
pub mod memory;
#[cfg(feature = "redis")]
pub mod net;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod past;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod round_trips;
#[cfg(feature = "redis")]
pub mod seal;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "redis")]
mod tcp;
pub mod throttle;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod tls;
#[cfg(feature = "tower-sessions")]
pub mod tower_sessions;
#[cfg(all(feature = "postgres", feature = "sqlite"))]
pub mod transfer;
