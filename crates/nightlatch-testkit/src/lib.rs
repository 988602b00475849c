//! Real servers for tests: started on free ports of 127.0.0.1, stopped by pid.

pub mod pgbouncer;
pub mod postgres;
pub mod process;
