//! Copies of the shipped sources in which one rule can be broken: see `build.rs`.

include!(concat!(env!("OUT_DIR"), "/copied/modules.rs"));
