//! The command line: what it takes, and the commands that need no running parts.
//!
//! Exit codes: 0 fine, 1 an error found or a failure, 2 wrong usage. Data goes to stdout, talk to
//! stderr.

pub mod args;
pub mod config;
