//! The record in `PostgreSQL`, for any number of equal nodes.
//!
//! Every change is one statement that commits by itself: nothing is left half done by a client
//! that dies, and no lock waits for one. What is promised about order rests on the feed's head
//! row, see `postgres/session.rs`.

#[cfg(feature = "sqlite")]
mod arriving;
mod audit;
mod call;
mod connect;
mod data;
mod end;
mod failure;
mod feed;
mod gather;
mod guard;
pub mod inspect;
mod listen;
mod migrate;
mod mirror;
mod new_user;
mod node;
mod options;
mod password;
mod past;
mod pool;
mod record;
mod refusal;
mod row;
mod schema;
mod session;
mod single;
mod throttle;
mod tls;
mod token;
mod user;

use std::sync::Arc;

use nightlatch_core::{Clock, Entropy};
use tokio::sync::Semaphore;

use self::call::Server;
use self::gather::Gatherer;
use self::listen::{Listener, Way};
pub use self::options::{PostgresOptions, PostgresOptionsError};
use self::pool::Connections;
use self::refusal::Refusal;
use self::schema::Schema;
use crate::certificate::CertificateExpiry;
use crate::lookups::Lookups;

/// A record in `PostgreSQL`. Connects when it is first asked something, inside a tokio runtime.
pub struct PostgresRecord {
    server: Arc<Server>,
    gatherer: Gatherer,
    listener: Listener,
    lookups: Lookups,
    saves: Semaphore,
    certificate: CertificateExpiry,
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
        let (way, certificate) = (Way::to(&target), target.certificate.clone());
        let ports = (Arc::clone(&clock), Arc::clone(&entropy));
        let connections = Connections::new(options, target, ports);
        let server = Arc::new(Server { connections, schema, entropy, refusal: Refusal::default() });
        let listener = Listener::new(way, &server, clock);
        let (gatherer, lookups) = (Gatherer::new(), Lookups::default());
        let saves = Semaphore::new(data::SAVES_MAX);
        Ok(Self { server, gatherer, listener, lookups, saves, certificate })
    }

    /// Until when the certificate is good that was shown last.
    #[must_use]
    pub const fn certificate_expiry(&self) -> &CertificateExpiry {
        &self.certificate
    }

    /// Whether calls are told at once that the server is away, or silent.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        self.server.connections.is_refusing()
    }
}
