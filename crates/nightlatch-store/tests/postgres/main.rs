//! The record in PostgreSQL against real servers, sound and failing.
#![cfg(feature = "postgres")]

mod contract;
mod faults;
mod migrating;
mod order;
mod pgbouncer;
mod support;
mod tls;
