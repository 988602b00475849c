//! The record in `PostgreSQL`, for any number of equal nodes.
//!
//! Every change is one statement that commits by itself: nothing is left half done by a client
//! that dies, and no lock waits for one. What is promised about order rests on the feed's head
//! row, see `postgres/session.rs`.

mod call;
mod connect;
mod end;
mod failure;
mod feed;
mod guard;
mod migrate;
mod new_user;
mod node;
mod options;
mod pool;
mod record;
mod row;
mod schema;
mod session;
mod throttle;
mod tls;
mod user;

use std::sync::Arc;

use nightlatch_core::{Clock, Entropy};

pub use self::options::{PostgresOptions, PostgresOptionsError};
use self::pool::Connections;
use self::schema::Schema;
use crate::lookups::Lookups;

/// A record in `PostgreSQL`. Connects when it is first asked something, inside a tokio runtime.
pub struct PostgresRecord {
    connections: Connections,
    schema: Schema,
    entropy: Arc<dyn Entropy>,
    lookups: Lookups,
}

impl PostgresRecord {
    /// Checks the options; connects to nothing, as a server that is away is no mistake in them.
    ///
    /// # Errors
    /// [`PostgresOptionsError`] for what no server could mend; its text is fit to be shown.
    pub fn open(
        options: &PostgresOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, PostgresOptionsError> {
        let schema = Schema::try_new(&options.schema)?;
        let target = options::read(options)?;
        let ports = (clock, Arc::clone(&entropy));
        let connections = Connections::new(options, target, ports);
        Ok(Self { connections, schema, entropy, lookups: Lookups::default() })
    }

    /// A random id for a feed row, with room above it: a statement that writes several rows counts
    /// on from it.
    fn fresh_row_id(&self) -> i64 {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        i64::from_be_bytes(bytes) & (i64::MAX >> 1)
    }
}
