//! The examples, as somebody would run them.

mod spa;
