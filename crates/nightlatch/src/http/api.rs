//! JSON in, JSON out: one endpoint a file.

pub(crate) mod check;
pub(crate) mod events;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod password;
pub(crate) mod register;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod shape;
pub(crate) mod token;
pub(crate) mod token_alias;
