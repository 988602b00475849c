//! Faults of the record, the process, the clocks, and nodes beside each other: what people see while
//! one lasts, and after.
//!
//! Each test is a row: a server under steady load, a fault, its end. The judge is the clients' own
//! log. Each prints what was seen as a line that begins with `FAULT`, from which `cargo xtask
//! faults` writes `docs/faults.md`; it also sets `NIGHTLATCH_FAULTS=full`, and spans that are short
//! here are as long then as they are told there.

mod clock;
mod disk;
mod drill;
mod durable;
mod file;
mod guesser;
mod killed;
mod locked;
mod nodes;
mod output;
mod postgres;
mod redis;
mod report;
mod starved;
mod upstream;
mod watch;
