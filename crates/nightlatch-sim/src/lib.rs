//! The promises of Nightlatch under faults, simulated from one seed.
//!
//! A test of two servers shows a few orders of events; the ones in which caches lie are rare. Here
//! nodes, copies and use cases run as they ship, over one record in memory, on one thread and on
//! time that is simulated: thousands of orders a second, each of which can be repeated from its
//! seed. What people were answered is recorded and judged afterwards, by the promises alone.

mod accelerator;
mod checker;
mod client;
mod clock;
pub mod copied;
mod entropy;
mod exchange;
mod fault;
mod hasher;
mod history;
mod model;
pub mod mutant;
mod node;
mod run;
mod store;
mod subject;
mod tasks;
mod tokens;
mod workload;
mod world;

pub use checker::Violation;
pub use run::{Report, Run};
pub use subject::Subject;
