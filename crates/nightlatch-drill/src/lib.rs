//! Faults against real servers under load, and the judge of what their clients saw.
//!
//! The judge knows nothing of how a server works.

pub mod chance;
pub mod client;
pub mod history;
pub mod load;
pub mod port;
pub mod proxy;
pub mod until;
