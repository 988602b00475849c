//! The record in PostgreSQL against real servers, sound and failing.
#![cfg(feature = "postgres")]

mod breaker;
mod contract;
mod faults;
mod gather;
mod listening;
mod migrating;
mod order;
mod pgbouncer;
mod relay;
mod support;
mod tls;
