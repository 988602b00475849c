//! Redis (or Valkey) as accelerator: used while it answers well, and left alone while it does not.
//!
//! No request needs it and none waits for it longer than its deadline, so everything that takes
//! longer happens beside the requests: names, connections, TLS, passwords, probes. What requests
//! have is a [`RedisLink`]: a slot with one connection that many share, or with none.

mod connect;
mod copies;
mod counters;
mod failure;
mod intake;
mod keeper;
mod layout;
mod link;
mod news;
mod options;
mod seal;
mod sentinel;

pub use self::copies::RedisCopies;
pub use self::counters::RedisCounters;
pub use self::failure::RedisFailure;
pub use self::keeper::{LinkObserver, Observation};
pub use self::link::RedisLink;
pub use self::news::RedisNews;
pub use self::options::{
    ClientCertificate, RedisAddress, RedisOptions, RedisOptionsError, RedisTls,
};
