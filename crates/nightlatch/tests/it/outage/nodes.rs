//! Several nodes on one record: each does what it can by what it reaches.

mod apart;
mod together;

const GROUP: &str = "Several nodes";
