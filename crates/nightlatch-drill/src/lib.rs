//! Faults against real servers under load, and the judge of what their clients saw.
//!
//! `nightlatch drill` runs it for whoever wants to see the promises kept before they are needed; the
//! tests run the same proxy, load and judge. The judge knows nothing of how a server works.

pub mod chance;
mod child;
pub mod client;
pub mod fault;
pub mod history;
pub mod load;
mod look;
pub mod outcome;
pub mod port;
pub mod proxy;
pub mod run;
pub mod scene;
pub mod until;
