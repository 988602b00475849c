//! How to call what may fail.
pub mod health;
