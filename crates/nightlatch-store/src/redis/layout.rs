//! How what goes over Redis lies in bytes: compact, and read back only if all of it makes sense.

pub(super) mod copy;
pub(super) mod news;
