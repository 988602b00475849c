//! Several nodes on one record: each does what it can by what it reaches.

mod apart;
pub(crate) mod together;

const GROUP: &str = "Several nodes";
