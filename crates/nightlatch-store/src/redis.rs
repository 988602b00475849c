//! Redis (or Valkey) as accelerator: used while it answers well, and left alone while it does not.
//!
//! No request needs it and none waits for it longer than its deadline, so everything that takes
//! longer happens beside the requests: names, connections, TLS, passwords, probes. What requests
//! have is a [`RedisLink`]: for each server a slot with one connection that many share, or with none.

mod batch;
mod cluster;
mod connect;
mod connected;
mod copies;
mod counters;
mod failure;
pub mod inspect;
mod intake;
mod keeper;
mod lane;
mod layout;
mod link;
mod news;
mod options;
mod overall;
mod redirect;
mod sentinel;
mod settling;
mod slot;
mod table;

pub use self::copies::RedisCopies;
pub use self::counters::RedisCounters;
pub use self::failure::RedisFailure;
pub use self::keeper::{LinkObserver, Observation};
pub use self::link::{CallObserver, RedisLink};
pub use self::news::RedisNews;
pub use self::options::{
    ClientCertificate, RedisAddress, RedisOptions, RedisOptionsError, RedisTls,
};
