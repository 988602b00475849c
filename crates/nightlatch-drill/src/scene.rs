//! What a drill is held with: servers under test, what is beneath them, and the proxies in between.
//!
//! Either a private one, which is made in a temporary folder and is gone afterwards, or a staging system
//! that leads through the proxies.

mod node;
mod private;
mod record;
mod redis;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use nightlatch_core::{Entropy as _, Secret, SystemEntropy};
use thiserror::Error;

use crate::client::Server;
use crate::proxy::{FaultProxy, Place, ProxyError};

pub(crate) use self::private::Private;
pub use self::private::PrivateRequest;
pub use self::record::RecordRequest;
pub use self::redis::RedisRequest;

/// Why there is no scene, or it came apart.
#[derive(Debug, Error)]
pub enum SceneError {
    /// No folder, no port, or no file in the folder.
    #[error("cannot prepare the private set-up")]
    Folder(#[source] io::Error),
    /// A program does not start.
    #[error("{0} does not start")]
    Program(&'static str, #[source] io::Error),
    /// A server does not come to serve, and the last that it said.
    #[error("{0} does not come to serve; its last words: {1}")]
    NotReady(String, String),
    /// A proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// Redis does not do what it is told.
    #[error("the Redis of the drill does not take {0}")]
    Redis(&'static str),
    /// The file of the record cannot be locked.
    #[error("the file of the record cannot be locked: {0}")]
    Lock(String),
}

/// Somebody who is there already.
#[derive(Clone, Debug)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Arc<Secret<String>>,
}

/// What a drill is held with.
pub struct Scene {
    /// The servers, in the order of their numbers.
    pub(crate) servers: Vec<Server>,
    /// Before Redis.
    pub(crate) redis: Option<FaultProxy>,
    /// Before the database.
    pub(crate) database: Option<FaultProxy>,
    /// Whom the load is to be; without it people are registered.
    pub(crate) account: Option<Account>,
    pub(crate) private: Option<Private>,
}

/// A staging system whose addresses of Redis and the database are those of the drill's proxies.
pub struct StagingRequest {
    /// The server, or what stands before several.
    pub server: Server,
    /// Somebody to log in as.
    pub account: Account,
    /// Where the system looks for Redis, and where it is.
    pub redis: Option<(SocketAddr, Place)>,
    /// Where the system looks for the database, and where it is.
    pub database: Option<(SocketAddr, Place)>,
}

impl Scene {
    /// Makes a private one.
    ///
    /// # Errors
    /// It cannot be made; nothing is left of it.
    pub async fn private(request: PrivateRequest) -> Result<Self, SceneError> {
        private::make(request).await
    }

    /// Stands in the way of a staging system.
    ///
    /// # Errors
    /// An address of a proxy is not to be had.
    pub async fn staging(request: StagingRequest) -> Result<Self, SceneError> {
        let start = async |way: Option<(SocketAddr, Place)>| match way {
            Some((listen, target)) => FaultProxy::start(listen, target).await.map(Some),
            None => Ok(None),
        };
        Ok(Self {
            servers: vec![request.server],
            redis: start(request.redis).await?,
            database: start(request.database).await?,
            account: Some(request.account),
            private: None,
        })
    }

    /// What it consists of, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        match &self.private {
            Some(private) => private.in_words(),
            None => format!("the staging system {}", self.servers[0].authority()),
        }
    }
}

/// A password that nobody guesses.
pub(crate) fn fresh_secret() -> Secret<String> {
    Secret::new(format!("{:016x}{:016x}", SystemEntropy.bits(), SystemEntropy.bits()))
}
